"""ONNX Runtime on its CPU provider, every optimisation of the graph on. Its CPU kernels have no bf16."""

from protocol import Work, serve


class Tower(Work):
    def __init__(self, onnxruntime, request, values, path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = request["threads"]
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.input = {self.session.get_inputs()[0].name: values}
        self.items = request["batch"]
        self.unit = "images" if request["work"] == "image" else "captions"

    def run(self):
        (self.features,) = self.session.run(None, self.input)

    def output(self):
        return self.features.ravel().tolist()


class Peer:
    name = "ONNX Runtime"
    works = ["image", "text"]
    precisions = ["f32"]

    def __init__(self):
        import inputs
        import onnx_export
        import onnxruntime

        self.onnxruntime, self.inputs, self.export = onnxruntime, inputs, onnx_export
        self.versions = {"onnxruntime": onnxruntime.__version__}

    def prepare(self, request):
        values = (
            self.inputs.pixels(request) if request["work"] == "image" else self.inputs.captions(request)["captions"]
        )
        return Tower(self.onnxruntime, request, values, self.export.exported(request))


if __name__ == "__main__":
    serve(Peer)
