/// What a program costs that trains: an R-Adapter on a ViT-B/16 of twelve blocks in each tower, with its average, deployed as
/// plain CLIP.
#include <radapt/backend/onednn/all.hpp>
#include <radapt/train/deploy.hpp>
#include <radapt/train/recipes.hpp>

using Recipe = radapt::recipe::r_adapter<radapt::arch::ViT_B_16>;

radapt::Weights<radapt::Clip<Recipe::model::arch>> train(const radapt::Weights<Recipe::trained>& start,
                                                         const radapt::PairBatch<float>& batch) {
  radapt::TrainOptions options;
  options.schedule.total = 1000;
  radapt::Trainer<Recipe, radapt::onednn> trainer{start, options};
  while (trainer.steps() < options.schedule.total) { trainer.step(batch); }
  return radapt::deploy(trainer, /*alpha=*/0.5);
}
