#pragma once
/// Pictures of two other tasks for the report of a study: what its models find in retrieval and in segmentation.
/// Defined in robustness/task_pictures.cpp, which is compiled by itself.
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "report.hpp"

namespace example {

/// Data of the tasks; an empty path leaves a task out.
struct TaskPictureData {
  std::filesystem::path retrieval = {};         ///< Karpathy's .json, or a table of captions
  std::filesystem::path retrieval_images = {};  ///< folder of its images; empty: `images` beside the file
  std::filesystem::path segmentation = {};      ///< folder with images/ and outlines in labels/
  std::vector<std::string> segmentation_labels = {};
  std::size_t limit = 0;  ///< images of each task; 0 is all

  bool any() const { return !retrieval.empty() || !segmentation.empty(); }
};

/// Models to look at: a checkpoint folder and, unless the path is empty, adapters for it that are merged at each of
/// `alphas`.
struct TaskPictureModels {
  std::filesystem::path checkpoint = {}, adapters = {};
  std::string vocabulary = {};  ///< CLIP's tokenizer, if it is not beside the checkpoint
  std::vector<double> alphas = {};
  bool is_small_clip = false;  ///< the checkpoint is a SmallClip, whatever other architectures there are
};

/// Errors: a file or folder that is not there, segmentation without labels, captions or outlines that cannot be read.
/// Called before the study begins.
void check_task_pictures(const TaskPictureData& data);

/// Measures both tasks under each model. Prints tables, and adds them to the report with samples: captions for images,
/// images for captions, and overlays.
void write_task_pictures(Report& report, const TaskPictureData& data, const TaskPictureModels& models);

}  // namespace example
