"""OpenVINO's CPU plugin on the exported ONNX; bf16 by its hint of the inference precision."""

from protocol import Work, serve


class Tower(Work):
    def __init__(self, openvino, request, values, path):
        core = openvino.Core()
        settings = {
            "INFERENCE_NUM_THREADS": request["threads"],
            "NUM_STREAMS": "1",
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": {"f32": "f32", "bf16": "bf16"}[request["precision"]],
        }
        self.request = core.compile_model(core.read_model(path), "CPU", settings).create_infer_request()
        self.input = [values]
        self.items = request["batch"]
        self.unit = "images" if request["work"] == "image" else "captions"

    def run(self):
        self.features = self.request.infer(self.input)

    def output(self):
        return self.features[0].ravel().tolist()


class Peer:
    name = "OpenVINO"
    works = ["image", "text"]
    precisions = ["f32", "bf16"]

    def __init__(self):
        import inputs
        import onnx_export
        import openvino

        self.openvino, self.inputs, self.export = openvino, inputs, onnx_export
        self.versions = {"openvino": openvino.__version__.split("-")[0]}

    def prepare(self, request):
        values = (
            self.inputs.pixels(request) if request["work"] == "image" else self.inputs.captions(request)["captions"]
        )
        return Tower(self.openvino, request, values, self.export.exported(request))


if __name__ == "__main__":
    serve(Peer)
