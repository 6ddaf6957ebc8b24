// Tensor names of other projects: every fixture read into our names and written back, and what a loader must refuse.
#include "radapt/io/names.hpp"

#include <doctest/doctest.h>

#include <unistd.h>
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "radapt/core/element.hpp"
#include "radapt/io/safetensors.hpp"
#include "support/shared_data.hpp"

namespace {

namespace fs = std::filesystem;
namespace names = radapt::names;
namespace st = radapt::safetensors;
using names::Origin;
using names::Wanted;
using radapt_test::shared_data;
using st::DType;

/// A folder of its own, removed at the end.
struct Folder {
  fs::path path;
  Folder() {
    std::string name = (fs::temp_directory_path() / "radapt_names_XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) { throw std::runtime_error("no temporary folder"); }
    path = name;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { fs::remove_all(path); }
};

std::string content(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

struct Sizes {
  std::uint64_t embed, image, patch, context, vocabulary;
  std::uint64_t vision_width, vision_layers, vision_hidden, text_width, text_layers, text_hidden;
};
constexpr Sizes tiny{48, 32, 8, 77, 320, 96, 3, 384, 64, 2, 256};
constexpr Sizes gelu{32, 30, 10, 77, 260, 64, 2, 192, 48, 3, 192};
constexpr Sizes vocabulary{24, 32, 16, 77, 49408, 32, 1, 128, 16, 1, 64};

/// Every tensor of a CLIP of these sizes under open_clip's names, written down from the table of names.
std::vector<Wanted> tensors_of(const Sizes& s) {
  const std::uint64_t v = s.vision_width, t = s.text_width, grid = s.image / s.patch;
  std::vector<Wanted> all{{"logit_scale", {}},
                          {"token_embedding.weight", {s.vocabulary, t}},
                          {"positional_embedding", {s.context, t}},
                          {"ln_final.weight", {t}},
                          {"ln_final.bias", {t}},
                          {"text_projection", {t, s.embed}},
                          {"visual.class_embedding", {v}},
                          {"visual.conv1.weight", {v, 3, s.patch, s.patch}},
                          {"visual.positional_embedding", {1 + grid * grid, v}},
                          {"visual.ln_pre.weight", {v}},
                          {"visual.ln_pre.bias", {v}},
                          {"visual.ln_post.weight", {v}},
                          {"visual.ln_post.bias", {v}},
                          {"visual.proj", {v, s.embed}}};
  const auto add = [&all](const std::string& prefix, std::uint64_t layers, std::uint64_t d, std::uint64_t h) {
    for (std::uint64_t i = 0; i < layers; ++i) {
      const std::string b = prefix + "transformer.resblocks." + std::to_string(i) + ".";
      const std::vector<Wanted> block{{b + "attn.in_proj_weight", {3 * d, d}},
                                      {b + "attn.in_proj_bias", {3 * d}},
                                      {b + "attn.out_proj.weight", {d, d}},
                                      {b + "attn.out_proj.bias", {d}},
                                      {b + "ln_1.weight", {d}},
                                      {b + "ln_1.bias", {d}},
                                      {b + "ln_2.weight", {d}},
                                      {b + "ln_2.bias", {d}},
                                      {b + "mlp.c_fc.weight", {h, d}},
                                      {b + "mlp.c_fc.bias", {h}},
                                      {b + "mlp.c_proj.weight", {d, h}},
                                      {b + "mlp.c_proj.bias", {d}}};
      all.insert(all.end(), block.begin(), block.end());
    }
  };
  add("visual.", s.vision_layers, v, s.vision_hidden);
  add("", s.text_layers, t, s.text_hidden);
  return all;
}

/// A model's tensors in memory, under our names.
template <class T>
struct Model {
  std::map<std::string, std::vector<T>> data;
  std::map<std::string, names::Values<T>> values;

  Model(const names::Assembly& assembly, const std::vector<Wanted>& wanted) {
    for (const Wanted& tensor : wanted) {
      std::vector<T>& numbers = data[tensor.name];
      numbers.resize(static_cast<std::size_t>(assembly.stored_size(tensor.name)));
      assembly.copy(tensor.name, numbers.data());
      values[tensor.name] = {tensor.shape, numbers.data()};
    }
  }
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;
};

/// A checkpoint in memory.
class Memory {
 public:
  void add(const std::string& name, std::vector<std::uint64_t> shape, DType type = DType::F32) {
    const std::size_t size = static_cast<std::size_t>(st::byte_size(type, shape).value());
    bytes_[name].assign(size, std::byte{0});
    entries_[name] = {type, std::move(shape), bytes_[name]};
  }
  void remove(const std::string& name) { REQUIRE(entries_.erase(name) == 1); }
  /// The file of what was added.
  st::File file() {
    const Folder folder;
    st::write(folder.path / "it", entries_);
    text_ = content(folder.path / "it");
    return st::parse(std::as_bytes(std::span<const char>(text_)), "it");
  }

 private:
  std::map<std::string, std::vector<std::byte>> bytes_;
  std::map<std::string, st::Entry> entries_;
  std::string text_;
};

Memory memory_of(const std::vector<Wanted>& wanted, const std::string& prefix = {}) {
  Memory memory;
  for (const Wanted& tensor : wanted) { memory.add(prefix + tensor.name, tensor.shape); }
  return memory;
}

std::string message_of(const st::File& file, Origin origin, const std::vector<Wanted>& wanted) {
  try {
    const names::Assembly assembly(file, origin, wanted);
  } catch (const radapt::error& problem) { return problem.what(); }
  return "no error";
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

TEST_CASE("transformers' and open_clip's file of one model give the same tensors, bit for bit") {
  const auto wanted = tensors_of(tiny);
  const st::File theirs = st::open(shared_data("fixtures/tiny_clip_quickgelu/model.safetensors"));
  const st::File ours = st::open(shared_data("fixtures/tiny_clip_quickgelu/open_clip_model.safetensors"));
  CHECK(names::detect(theirs) == Origin::huggingface);
  CHECK(names::detect(ours) == Origin::open_clip);
  const names::Assembly from_theirs(theirs, Origin::huggingface, wanted);
  const names::Assembly from_ours(ours, Origin::open_clip, wanted);
  const Model<float> a(from_theirs, wanted);
  const Model<float> b(from_ours, wanted);
  REQUIRE(wanted.size() == ours.tensors().size());
  for (const Wanted& tensor : wanted) {
    CHECK_MESSAGE(same_bits(a.data.at(tensor.name), b.data.at(tensor.name)), tensor.name);
    CHECK_MESSAGE(same_bits(b.data.at(tensor.name), ours.read<float>(tensor.name)), tensor.name);
    CHECK(ours.at(tensor.name).shape == tensor.shape);
  }
}

/// One reference file, its model's sizes, origin and stored type.
struct Reference {
  const char* path;
  Sizes sizes;
  Origin origin;
  DType type;
};
const std::vector<Reference> references{
    {"fixtures/tiny_clip_quickgelu/model.safetensors", tiny, Origin::huggingface, DType::F32},
    {"fixtures/tiny_clip_quickgelu/open_clip_model.safetensors", tiny, Origin::open_clip, DType::F32},
    {"fixtures/tiny_clip_quickgelu_f16/model.safetensors", tiny, Origin::huggingface, DType::F16},
    {"fixtures/tiny_clip_quickgelu_f16_sharded", tiny, Origin::huggingface, DType::F16},
    {"fixtures/tiny_clip_quickgelu_bf16/open_clip_model.safetensors", tiny, Origin::open_clip, DType::BF16},
    {"fixtures/tiny_clip_gelu/open_clip_model.safetensors", gelu, Origin::open_clip, DType::F32},
    {"fixtures/tiny_clip_vocab49408/model.safetensors", vocabulary, Origin::huggingface, DType::F16}};

TEST_CASE_TEMPLATE("every fixture goes to our tensors and back without a changed bit", T, float, double) {
  for (const Reference& reference : references) {
    INFO(reference.path);
    const auto wanted = tensors_of(reference.sizes);
    const st::File file = st::open(shared_data(reference.path));
    REQUIRE(names::detect(file) == reference.origin);
    const names::Assembly assembly(file, reference.origin, wanted);
    const Model<T> model(assembly, wanted);
    const auto exported = names::export_tensors(model.values, reference.origin, reference.type);
    std::size_t compared = 0;
    for (const auto& item : file.tensors()) {
      // Plain references: the checks below capture them, which clang 14 does not do for structured bindings.
      const std::string& name = item.first;
      const st::Tensor& tensor = item.second;
      if (names::is_ignorable(name)) { continue; }
      REQUIRE_MESSAGE(exported.entries().count(name) == 1, name);
      const st::Entry& again = exported.entries().at(name);
      CHECK(again.dtype == tensor.dtype);
      CHECK(again.shape == tensor.shape);
      CHECK_MESSAGE(std::equal(tensor.data.begin(), tensor.data.end(), again.data.begin(), again.data.end()), name);
      ++compared;
    }
    CHECK(compared == exported.entries().size());
  }
}

TEST_CASE("a model written by either origin's names is the reference's file, byte for byte") {
  const auto wanted = tensors_of(tiny);
  const fs::path theirs = shared_data("fixtures/tiny_clip_quickgelu/model.safetensors");
  const fs::path ours = shared_data("fixtures/tiny_clip_quickgelu/open_clip_model.safetensors");
  const st::File from_theirs = st::open(theirs), from_ours = st::open(ours);
  const names::Assembly a(from_theirs, Origin::huggingface, wanted), b(from_ours, Origin::open_clip, wanted);
  const Model<float> model_a(a, wanted), model_b(b, wanted);
  const Folder folder;
  const auto crossed = names::export_tensors(model_a.values, Origin::open_clip, DType::F32);
  st::write(folder.path / "ours", crossed.entries());
  CHECK(content(folder.path / "ours") == content(ours));
  const auto back = names::export_tensors(model_b.values, Origin::huggingface, DType::F32);
  st::write(folder.path / "theirs", back.entries());
  CHECK(content(folder.path / "theirs") == content(theirs));
}

TEST_CASE("the projections are transposed although they are square, and q, k, v keep their order") {
  // Square shapes, where no comparison of shapes could notice a mistake.
  const std::vector<float> projection{1, 2, 3, 4};
  const std::vector<float> rows{1, 2, 3};
  const std::map<std::string, names::Values<float>> ours{
      {"text_projection", {{2, 2}, projection.data()}},
      {"visual.proj", {{2, 2}, projection.data()}},
      {"transformer.resblocks.11.attn.in_proj_bias", {{3}, rows.data()}}};
  const auto theirs = names::export_tensors(ours, Origin::huggingface, DType::F32);
  const auto read = [&theirs](const std::string& name) {
    const st::Entry& entry = theirs.entries().at(name);
    std::vector<float> numbers(static_cast<std::size_t>(entry.size()));
    st::copy_elements(entry, numbers.data(), name);
    return numbers;
  };
  CHECK(read("text_projection.weight") == std::vector<float>{1, 3, 2, 4});
  CHECK(read("visual_projection.weight") == std::vector<float>{1, 3, 2, 4});
  CHECK(read("text_model.encoder.layers.11.self_attn.q_proj.bias") == std::vector<float>{1});
  CHECK(read("text_model.encoder.layers.11.self_attn.k_proj.bias") == std::vector<float>{2});
  CHECK(read("text_model.encoder.layers.11.self_attn.v_proj.bias") == std::vector<float>{3});
  CHECK(theirs.entries().size() == 5);
}

TEST_CASE("names map as the table of the format says") {
  const auto theirs = [](const std::string& ours, Origin origin) {
    return names::source_of(ours, origin).value().names;
  };
  using List = std::vector<std::string>;
  CHECK(theirs("visual.ln_pre.bias", Origin::huggingface) == List{"vision_model.pre_layrnorm.bias"});
  CHECK(theirs("visual.transformer.resblocks.3.mlp.c_proj.weight", Origin::huggingface) ==
        List{"vision_model.encoder.layers.3.mlp.fc2.weight"});
  CHECK(theirs("transformer.resblocks.0.ln_2.bias", Origin::huggingface) ==
        List{"text_model.encoder.layers.0.layer_norm2.bias"});
  CHECK(theirs("visual.transformer.resblocks.3.attn.in_proj_weight", Origin::huggingface) ==
        List{"vision_model.encoder.layers.3.self_attn.q_proj.weight",
             "vision_model.encoder.layers.3.self_attn.k_proj.weight",
             "vision_model.encoder.layers.3.self_attn.v_proj.weight"});
  for (const char* same : {"visual.proj", "logit_scale"}) {
    for (const Origin origin : {Origin::open_clip, Origin::openai, Origin::custom_text_clip}) {
      CHECK(theirs(same, origin) == List{same});
    }
  }
  for (const char* text : {"text_projection", "positional_embedding", "token_embedding.weight",
                           "transformer.resblocks.1.ln_1.bias", "ln_final.weight"}) {
    CHECK(theirs(text, Origin::custom_text_clip) == List{std::string("text.") + text});
    CHECK(theirs(text, Origin::openai) == List{text});
  }
  for (const char* unknown : {"", "visual", "transformer.resblocks.0", "transformer.resblocks..ln_1.bias",
                              "transformer.resblocks.x.ln_1.bias", "transformer.resblocks.0.ln_3.bias",
                              "transformer.resblocks.0.attn.adapter.F", "visual.proj.weight"}) {
    CHECK_FALSE_MESSAGE(names::source_of(unknown, Origin::huggingface).has_value(), unknown);
  }
}

TEST_CASE("all mistakes of a file are in one error") {
  auto wanted = tensors_of(tiny);
  Memory memory = memory_of(wanted);
  memory.remove("visual.ln_pre.bias");
  memory.remove("logit_scale");
  memory.add("logit_bias", {});
  memory.add("visual.transformer.resblocks.0.attn.adapter.s", {});
  memory.add("visual.proj", {48, 96});
  memory.add("ln_final.weight", {65});
  memory.add("ln_final.bias", {64}, DType::I64);
  memory.add("visual.conv1.weight", {96, 3, 64});
  CHECK(message_of(memory.file(), Origin::open_clip, wanted) ==
        "radapt: loading 'it' by open_clip names: expected the tensors of the model, got "
        "2 missing: 'logit_scale', 'visual.ln_pre.bias'; "
        "2 unexpected: 'logit_bias', 'visual.transformer.resblocks.0.attn.adapter.s'; "
        "3 misshapen: 'ln_final.weight' is [65], the model wants [64], 'visual.conv1.weight' is [96,3,64], the model "
        "wants [96,3,8,8], 'visual.proj' is [48,96], the model wants [96,48]; "
        "1 without floating-point numbers: 'ln_final.bias' is I64. "
        "The file holds adapters; load it into a model that has them, or merge them before saving");
}

TEST_CASE("a part of q, k, v that is missing or misshapen is named with the tensor it belongs to") {
  const std::vector<Wanted> wanted{{"transformer.resblocks.0.attn.in_proj_bias", {6}}, {"text_projection", {2, 3}}};
  const std::string block = "text_model.encoder.layers.0.self_attn.";
  Memory memory;
  memory.add(block + "q_proj.bias", {2});
  memory.add(block + "v_proj.bias", {6});
  memory.add("text_projection.weight", {2, 3});
  CHECK(message_of(memory.file(), Origin::huggingface, wanted) ==
        "radapt: loading 'it' by transformers names: expected the tensors of the model, got "
        "1 missing: '" +
            block +
            "k_proj.bias' (for 'transformer.resblocks.0.attn.in_proj_bias'); "
            "2 misshapen: '" +
            block +
            "v_proj.bias' (for 'transformer.resblocks.0.attn.in_proj_bias') is [6], the model "
            "wants [2], 'text_projection.weight' (for 'text_projection') is [2,3], the model wants [3,2]. "
            "Is this a checkpoint of another architecture or origin?");
}

TEST_CASE("adapters are loaded like any other tensor where the model has them, and missed where the file has none") {
  std::vector<Wanted> wanted = tensors_of(gelu);
  wanted.push_back({"visual.transformer.resblocks.0.attn.adapter.F", {64, 64}});
  CHECK(message_of(memory_of(wanted).file(), Origin::open_clip, wanted) == "no error");
  const std::string message = message_of(memory_of(tensors_of(gelu)).file(), Origin::open_clip, wanted);
  CHECK_MESSAGE(message.find("1 missing: 'visual.transformer.resblocks.0.attn.adapter.F'.") != std::string::npos,
                message);
  // Transformers has no name for it, so that it is looked for under ours.
  const st::File file = st::open(shared_data("fixtures/tiny_clip_quickgelu/model.safetensors"));
  wanted = tensors_of(tiny);
  wanted.push_back({"transformer.resblocks.0.mlp.adapter.s", {}});
  CHECK(message_of(file, Origin::huggingface, wanted).find("1 missing: 'transformer.resblocks.0.mlp.adapter.s'.") !=
        std::string::npos);
}

TEST_CASE("what open_clip forgives is forgiven") {
  const auto wanted = tensors_of(tiny);
  SUBCASE("names with module. before them") {
    Memory memory = memory_of(wanted, "module.");
    const st::File file = memory.file();
    CHECK(names::detect(file) == Origin::open_clip);
    CHECK(message_of(file, Origin::open_clip, wanted) == "no error");
    memory.add("visual.proj", {96, 48});
    CHECK(message_of(memory.file(), Origin::open_clip, wanted) ==
          "radapt: loading 'it' by open_clip names: expected every tensor once, got 'visual.proj' with and without "
          "'module.'");
  }
  SUBCASE("a scalar of shape [1], and the other way round") {
    Memory memory = memory_of(wanted);
    memory.add("logit_scale", {1});
    const st::File file = memory.file();
    const names::Assembly assembly(file, Origin::open_clip, wanted);
    CHECK(assembly.stored_size("logit_scale") == 1);
    CHECK(assembly.stored_rows("logit_scale") == 1);
    auto as_vector = wanted;
    as_vector[0].shape = {1};
    CHECK(message_of(memory_of(wanted).file(), Origin::open_clip, as_vector) == "no error");
    memory.add("logit_scale", {2});
    CHECK(message_of(memory.file(), Origin::open_clip, wanted).find("'logit_scale' is [2]") != std::string::npos);
  }
  SUBCASE("numbers that are no weights") {
    Memory memory = memory_of(wanted);
    for (const char* name : {"input_resolution", "context_length", "vocab_size"}) { memory.add(name, {}, DType::I64); }
    const st::File file = memory.file();
    CHECK(names::detect(file) == Origin::openai);
    CHECK(message_of(file, Origin::openai, wanted) == "no error");
    const st::File positions = st::open(shared_data("fixtures/tiny_clip_quickgelu_f16"));
    REQUIRE(positions.contains("text_model.embeddings.position_ids"));
    CHECK(message_of(positions, Origin::huggingface, wanted) == "no error");
  }
}

TEST_CASE("a position embedding of another length is reported, not refused") {
  const auto wanted = tensors_of(tiny);
  Memory memory = memory_of(wanted);
  memory.add("visual.positional_embedding", {50, 96});
  memory.add("positional_embedding", {32, 64});
  const st::File file = memory.file();
  const names::Assembly assembly(file, Origin::open_clip, wanted);
  CHECK(assembly.stored_rows("visual.positional_embedding") == 50);
  CHECK(assembly.stored_size("visual.positional_embedding") == 50 * 96);
  CHECK(assembly.stored_rows("positional_embedding") == 32);
  CHECK(assembly.stored_rows("visual.proj") == 96);
  CHECK(assembly.stored_rows("visual.transformer.resblocks.0.attn.in_proj_weight") == 3 * 96);
  CHECK_THROWS_WITH_AS(assembly.stored_rows("visual.prj"), doctest::Contains("a tensor of the model, got 'visual.prj'"),
                       radapt::error);
  float number = 0;
  CHECK_THROWS_AS(assembly.copy("visual.prj", &number), radapt::error);
  memory.add("positional_embedding", {32, 65});
  CHECK(message_of(memory.file(), Origin::open_clip, wanted).find("'positional_embedding' is [32,65]") !=
        std::string::npos);
}

TEST_CASE("one tower alone can be read from a file of both, and from its own") {
  std::vector<Wanted> image, text;
  for (const Wanted& tensor : tensors_of(tiny)) {
    if (tensor.name != "logit_scale") { (tensor.name.starts_with("visual.") ? image : text).push_back(tensor); }
  }
  for (const char* path :
       {"fixtures/tiny_clip_quickgelu/model.safetensors", "fixtures/tiny_clip_quickgelu/open_clip_model.safetensors"}) {
    const st::File file = st::open(shared_data(path));
    const Origin origin = names::detect(file);
    CHECK_NOTHROW(names::Assembly(file, origin, image, names::Tower::image));
    CHECK_NOTHROW(names::Assembly(file, origin, text, names::Tower::text));
    CHECK_THROWS_WITH_AS(names::Assembly(file, origin, image), doctest::Contains("unexpected"), radapt::error);
    auto fewer = image;
    fewer.pop_back();
    CHECK_THROWS_WITH_AS(names::Assembly(file, origin, fewer, names::Tower::image), doctest::Contains("1 unexpected"),
                         radapt::error);
  }
  CHECK_NOTHROW(names::Assembly(memory_of(image).file(), Origin::open_clip, image, names::Tower::image));
}

TEST_CASE("CustomTextCLIP keeps the text tower under text.") {
  const auto wanted = tensors_of(gelu);
  const st::File plain = st::open(shared_data("fixtures/tiny_clip_gelu"));
  const names::Assembly assembly(plain, Origin::open_clip, wanted);
  const Model<float> model(assembly, wanted);
  const auto custom = names::export_tensors(model.values, Origin::custom_text_clip, DType::F32);
  const Folder folder;
  st::write(folder.path / "custom", custom.entries());
  const st::File file = st::open(folder.path / "custom");
  CHECK(names::detect(file) == Origin::custom_text_clip);
  CHECK(file.contains("text.transformer.resblocks.0.ln_1.bias"));
  CHECK(file.contains("visual.transformer.resblocks.0.ln_1.bias"));
  const names::Assembly again(file, Origin::custom_text_clip, wanted);
  const Model<float> same(again, wanted);
  CHECK(same.data == model.data);
}

TEST_CASE("files that hold no CLIP are not mistaken for one") {
  const auto refusal = [](Memory memory) {
    try {
      names::detect(memory.file());
    } catch (const radapt::error& problem) { return std::string(problem.what()); }
    return std::string("no error");
  };
  CHECK(refusal({}) ==
        "radapt: recognising the tensor names of 'it': expected those of a CLIP from open_clip, OpenAI or "
        "transformers, got no tensor at all");
  Memory other;
  other.add("weight", {1});
  CHECK(refusal(other).find("1 others, the first 'weight'") != std::string::npos);
  Memory timm = memory_of(tensors_of(gelu));
  timm.add("visual.trunk.cls_token", {1});
  CHECK(refusal(timm).find("an image tower of timm") != std::string::npos);
}

TEST_CASE("writing as a 16-bit type rounds to nearest even and refuses what would overflow") {
  const std::vector<float> numbers{1.0F, 0.1F, -65504.0F, std::numeric_limits<float>::infinity()};
  const std::map<std::string, names::Values<float>> ours{{"ln_final.bias", {{4}, numbers.data()}}};
  const auto halves = names::export_tensors(ours, Origin::open_clip, DType::F16);
  const auto brains = names::export_tensors(ours, Origin::open_clip, DType::BF16);
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, halves.entries().at("ln_final.bias").data.data() + 2 * i, 2);
    CHECK(bits == radapt::f16(numbers[i]).bits);
    std::memcpy(&bits, brains.entries().at("ln_final.bias").data.data() + 2 * i, 2);
    CHECK(bits == radapt::bf16(numbers[i]).bits);
  }
  CHECK(halves.entries().at("ln_final.bias").dtype == DType::F16);
  const std::vector<float> large{65520.0F};
  CHECK_THROWS_WITH_AS(
      names::export_tensors<float>({{"logit_scale", {{}, large.data()}}}, Origin::open_clip, DType::F16),
      "radapt: exporting tensor 'logit_scale' as f16: expected values that the type can hold, got 65520.000000. Write "
      "it as F32",
      radapt::error);
  const std::vector<double> huge{1e39};
  CHECK_THROWS_WITH_AS(
      names::export_tensors<double>({{"logit_scale", {{}, huge.data()}}}, Origin::open_clip, DType::F32),
      doctest::Contains("'logit_scale' as float"), radapt::error);
  CHECK_THROWS_WITH_AS(names::export_tensors(ours, Origin::open_clip, DType::I64),
                       doctest::Contains("F32, F16 or BF16, got I64"), radapt::error);
}

TEST_CASE("tensors that transformers has no name for, or that cannot be split, are not written") {
  const std::vector<float> numbers(4, 0.0F);
  CHECK_THROWS_WITH_AS(names::export_tensors<float>({{"ln_final.bias", {{4}, numbers.data()}},
                                                     {"transformer.resblocks.0.attn.adapter.s", {{}, numbers.data()}},
                                                     {"head.weight", {{4}, numbers.data()}}},
                                                    Origin::huggingface, DType::F32),
                       doctest::Contains("got 'head.weight', 'transformer.resblocks.0.attn.adapter.s'"), radapt::error);
  CHECK_THROWS_WITH_AS(
      names::export_tensors<float>({{"transformer.resblocks.0.attn.in_proj_bias", {{4}, numbers.data()}}},
                                   Origin::huggingface, DType::F32),
      doctest::Contains("that three divides, got shape [4]"), radapt::error);
  CHECK_THROWS_WITH_AS(
      names::export_tensors<float>({{"visual.proj", {{4}, numbers.data()}}}, Origin::huggingface, DType::F32),
      doctest::Contains("a matrix, got shape [4]"), radapt::error);
}

TEST_CASE("a tensor wanted twice is a mistake of the caller") {
  Memory memory;
  memory.add("logit_scale", {});
  CHECK(message_of(memory.file(), Origin::open_clip, {{"logit_scale", {}}, {"logit_scale", {}}})
            .find("every tensor wanted once, got 'logit_scale' twice") != std::string::npos);
}

}  // namespace
