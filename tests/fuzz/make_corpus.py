"""Writes the small inputs that the fuzzers of checkpoints and configurations start from. usage: make_corpus.py [FOLDER]

Every reader gets a few well-formed files, so that mutation begins behind the first checks, and a few broken ones.
"""
import json
import pathlib
import struct
import sys


def safetensors(header, data=b"", pad=True):
    text = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8) if pad else b""
    return struct.pack("<Q", len(text)) + text + data


def tiling(tensors):
    """Header entries of (name, type, shape, bytes) whose data follow each other."""
    header, end = {}, 0
    for name, dtype, shape, size in tensors:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + size]}
        end += size
    return header, bytes(i % 251 for i in range(end))


def tiny_clip(openai):
    """Every kind of tensor of a CLIP with widths of 1, by open_clip's names or transformers'."""
    block = [("attn.in_proj_weight", [3, 1]), ("attn.in_proj_bias", [3]), ("attn.out_proj.weight", [1, 1]), ("mlp.c_fc.weight", [4, 1])]
    if openai:
        shapes = [("logit_scale", []), ("positional_embedding", [2, 1]), ("text_projection", [1, 2]), ("token_embedding.weight", [3, 1]),
                  ("ln_final.weight", [1]), ("visual.conv1.weight", [1, 3, 1, 1]), ("visual.positional_embedding", [2, 1]), ("visual.proj", [1, 2])]
        shapes += [(f"{tower}transformer.resblocks.0.{name}", shape) for tower in ("", "visual.") for name, shape in block]
    else:
        shapes = [("logit_scale", [1]), ("text_projection.weight", [2, 1]), ("visual_projection.weight", [2, 1])]
        for tower in ("text_model", "vision_model"):
            layer = f"{tower}.encoder.layers.0"
            shapes += [(f"{tower}.embeddings.position_embedding.weight", [2, 1]), (f"{layer}.mlp.fc1.weight", [4, 1]),
                       (f"{layer}.self_attn.out_proj.weight", [1, 1])]
            shapes += [(f"{layer}.self_attn.{letter}_proj.weight", [1, 1]) for letter in "qkv"]
        shapes += [("text_model.embeddings.token_embedding.weight", [3, 1]), ("text_model.final_layer_norm.weight", [1]),
                   ("vision_model.embeddings.patch_embedding.weight", [1, 3, 1, 1])]
    count = lambda shape: shape[0] * count(shape[1:]) if shape else 1
    return tiling([(name, "F16", shape, 2 * count(shape)) for name, shape in shapes])


def checkpoints():
    yield "empty", safetensors({})
    yield "metadata", safetensors({"__metadata__": {"format": "pt", "a": "\u00e4"}})
    types = [("a", "I64", [1], 8), ("b", "F64", [1], 8), ("c", "F32", [2, 1], 8), ("d", "BF16", [1], 2), ("e", "F16", [], 2), ("f", "BOOL", [2], 2),
             ("g", "F4", [2], 1), ("h", "U64", [0], 0), ("i", "F6_E2M3", [4], 3)]
    yield "types", safetensors(*tiling(types))
    yield "unaligned", safetensors(*tiling([("a", "U8", [1], 1), ("b", "F64", [1], 8), ("c", "I16", [1], 2)]), pad=False)
    yield "open_clip", safetensors(*tiny_clip(True))
    yield "transformers", safetensors(*tiny_clip(False))
    header, data = tiling([("a", "F32", [1], 4), ("b", "F32", [1], 4)])
    header["b"]["data_offsets"] = [5, 9]
    yield "hole", safetensors(header, data + b"x")
    yield "overflow", safetensors({"a": {"dtype": "F32", "shape": [2**62], "data_offsets": [0, 0]}})
    yield "twice", safetensors(b'{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}', b"x")
    yield "deep", safetensors(b'{"a":[[[[[[[[')
    yield "long", struct.pack("<Q", 2**63) + b"{}"


def configurations():
    tower = {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 2, "hidden_act": "gelu", "layer_norm_eps": 1e-5}
    text = tower | {"vocab_size": 320, "max_position_embeddings": 77, "eos_token_id": 319}
    hf = {"model_type": "clip", "projection_dim": 48, "text_config": text, "vision_config": tower | {"image_size": 32, "patch_size": 8}}
    yield "transformers", hf
    yield "transformers_legacy", {"model_type": "clip", "text_config": {}, "vision_config": None, "text_config_dict": {"hidden_size": 512, "eos_token_id": 2},
                                  "vision_config_dict": {"num_channels": 3}}
    preprocess = {"size": 32, "mode": "RGB", "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "interpolation": "bilinear", "resize_mode": "squash", "fill_color": 0}
    model = {"embed_dim": 48, "quick_gelu": True,
             "vision_cfg": {"image_size": [32, 32], "layers": 3, "width": 96, "patch_size": 8, "head_width": 32, "mlp_ratio": 3.5, "norm_kwargs": {"eps": 1e-6}},
             "text_cfg": {"context_length": 77, "vocab_size": 320, "width": 64, "heads": 2, "layers": 2, "pool_type": "eos", "eos_id": 319,
                          "norm_kwargs": {"eps": 1e-6}}}
    yield "open_clip", {"model_cfg": model, "preprocess_cfg": preprocess}
    yield "open_clip_model", model
    yield "preprocessor", {"do_resize": True, "size": {"shortest_edge": 32}, "resample": 3, "do_center_crop": True, "crop_size": {"height": 32, "width": 32},
                           "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": [0.48, 0.45, 0.4], "image_std": [0.26, 0.26, 0.27],
                           "do_convert_rgb": True}
    yield "preprocessor_squash", {"size": {"height": 32, "width": 32}, "crop_size": 32, "resample": 2, "do_center_crop": False}


def main(folder):
    for name, content in checkpoints():
        (folder / "safetensors" / name).write_bytes(content)
    for name, content in configurations():
        (folder / "clip_config" / f"{name}.json").write_text(json.dumps(content, separators=(",", ":")))
    (folder / "clip_config" / "deep.json").write_text('{"text_config":' + "[" * 40)
    (folder / "clip_config" / "not_a_number.json").write_text('{"model_type":"clip","logit_scale_init_value":NaN}')


if __name__ == "__main__":
    target = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "corpus")
    for kind in ("safetensors", "clip_config"):
        (target / kind).mkdir(parents=True, exist_ok=True)
    main(target)
