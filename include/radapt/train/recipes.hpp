#pragma once
/// The published methods by name: `recipe::r_adapter<arch::ViT_B_16>` is a whole variant, with the defaults of its
/// paper.
#include "radapt/adapter/adapt_former.hpp"
#include "radapt/adapter/lora.hpp"
#include "radapt/adapter/rep_adapter.hpp"
#include "radapt/train/recipe.hpp"

namespace radapt {
namespace recipe {

/// R-Adapter (Kim et al., ECCV 2024): adapters only, dropping and accumulation, rescale and merge, MPM-NCE.
template <class Arch, class Rank = full>
using r_adapter = Recipe<Clip<Arch, RAdapter<Rank>>, tune::only<role::adapter>,
                         ensemble::During<AdapterDrop, Accumulate>, ensemble::After<Rescale>, loss::MpmNce>;

/// WiSE-FT (Wortsman et al., CVPR 2022): everything of the image tower and a zero-shot-initialised head, then
/// interpolation.
template <class Arch>
using wise_ft =
    Recipe<Clip<Arch>, tune::everything, ensemble::During<>, ensemble::After<Interpolate>, loss::CrossEntropy>;

/// Full fine-tuning: WiSE-FT's training without its ensemble.
template <class Arch>
using full_fine_tuning =
    Recipe<Clip<Arch>, tune::everything, ensemble::During<>, ensemble::After<>, loss::CrossEntropy>;

/// Linear probe: the head alone, on frozen features (methods.md 7.2). L2 regularisation is the optimizer's
/// weight_decay; a random head in the place of the zero-shot one is a matter of the weights that it begins with.
template <class Arch>
using linear_probe =
    Recipe<Clip<Arch>, tune::only<role::head>, ensemble::During<>, ensemble::After<>, loss::CrossEntropy>;

/// WiSE-FT of a linear classifier (methods.md 2.1): the head alone is trained and interpolated, so that the ensemble of
/// weights is the ensemble of logits.
template <class Arch>
using wise_ft_linear =
    Recipe<Clip<Arch>, tune::only<role::head>, ensemble::During<>, ensemble::After<Interpolate>, loss::CrossEntropy>;

/// LP-FT (Kumar et al., ICLR 2022): a linear probe to convergence, then everything from its head with a small rate,
/// 1e-5 here (methods.md 7.3). Two runs: `carry_over<typename lp_ft<Arch>::tuning>(probe)` is where the second begins.
template <class Arch>
struct lp_ft {
  using probe = linear_probe<Arch>;
  using tuning = full_fine_tuning<Arch>;
};

/// FLYP (Goyal et al., CVPR 2023): fine-tune like you pre-train, everything under the contrastive loss.
template <class Arch>
using flyp = Recipe<Clip<Arch>, tune::everything, ensemble::During<>, ensemble::After<>, loss::Contrastive>;

/// L2-SP (Li et al., ICML 2018): full fine-tuning held near the weights that it began with.
template <class Arch>
using l2_sp = Recipe<Clip<Arch>, tune::everything, ensemble::During<>, ensemble::After<>,
                     loss::With<loss::CrossEntropy, loss::TowardBase>>;

/// StarFT (Kim et al., IJCAI 2025): FLYP whose answers to spurious captions stay those of the frozen model.
template <class Arch, class Base = loss::Contrastive>
using star_ft = Recipe<Clip<Arch>, tune::everything, ensemble::During<>, ensemble::After<>,
                       loss::With<Base, loss::SpuriousAlignment>>;

/// CaRot (Oh et al., NeurIPS 2024): FLYP, the columns of the image tower's projection pulled towards orthonormal, and
/// distillation from a moving average of the run. The student is deployed, not the teacher. `carot<Arch,
/// loss::CrossFNorm>` adds the released code's optional penalty.
template <class Arch, class... More>
using carot = Recipe<Clip<Arch>, tune::everything, ensemble::During<>, ensemble::After<>,
                     loss::With<loss::Contrastive, loss::Orthogonality, loss::SelfDistillation, More...>>;

/// Mask-fill (Xiao et al., CVPR 2023): full fine-tuning whose features of images with filled parts stay those of the
/// frozen model. LabelledBatch::filled holds these images; with loss::DroppedPatchDistillation nothing is filled, and
/// LabelledBatch::kept says which patches are there.
template <class Arch, class Term = loss::MaskedDistillation>
using mask_fill =
    Recipe<Clip<Arch>, tune::everything, ensemble::During<>, ensemble::After<>, loss::With<loss::CrossEntropy, Term>>;

/// CLIPood (Shu et al., ICML 2023): the image tower under the margin metric softmax, deployed as its Beta average. Set
/// TrainOptions::average.kind to Average::Kind::beta.
template <class Arch>
using clipood = Recipe<Clip<Arch>, tune::only<role::tower::image>, ensemble::During<Accumulate>, ensemble::After<>,
                       loss::MarginMetricSoftmax>;

/// LoRA (Hu et al., ICLR 2022) on q and v of every block unless Targets says more, merged when it is done. With
/// rank_stabilised_scale it is rsLoRA.
template <class Arch, Index R = 8, class Targets = on<site::q, site::v>, class Loss = loss::CrossEntropy,
          class Scale = lora_scale>
using lora = Recipe<Clip<Arch, Lora<R, Targets, Scale>>, tune::only<role::adapter, role::head>, ensemble::During<>,
                    ensemble::After<Rescale>, Loss>;

/// AdaptFormer (Chen et al., NeurIPS 2022): a bottleneck beside every MLP. It stays in the model.
template <class Arch, Index Hidden = 64, class Loss = loss::CrossEntropy>
using adapt_former = Recipe<Clip<Arch, AdaptFormer<Hidden>>, tune::only<role::adapter, role::head>, ensemble::During<>,
                            ensemble::After<>, Loss>;

/// RepAdapter (Luo et al., 2023): a linear bottleneck in front of every in_proj and c_fc, merged when it is done.
template <class Arch, Index Hidden = 8, class Loss = loss::CrossEntropy>
using rep_adapter = Recipe<Clip<Arch, RepAdapter<Hidden>>, tune::only<role::adapter, role::head>, ensemble::During<>,
                           ensemble::After<Rescale>, Loss>;

/// Model soup (Wortsman et al., ICML 2022): the mean of several runs of one recipe, which differ in options or seed.
/// `deploy(runs, 1.0)` of radapt/train/deploy_ensembles.hpp makes it.
template <class Arch>
using model_soup = with_after<full_fine_tuning<Arch>, Soup>;

/// TPGM (Tian et al., CVPR 2023): full fine-tuning, projected back toward the base once, tensor by tensor.
/// `deploy(trainer, 1.0, held_out_loss, options)` of radapt/train/deploy_ensembles.hpp learns the radii.
template <class Arch>
using tpgm = with_after<full_fine_tuning<Arch>, Project>;

/// OSE (methods.md 7.16): the outputs of a fine-tuned model and of the zero-shot model, mixed.
template <class Arch>
using ose = with_after<full_fine_tuning<Arch>, OutputEnsemble>;

/// VRF (Zhu et al., NeurIPS 2024): the same with a weight for every sample.
template <class Arch>
using vrf = with_after<full_fine_tuning<Arch>, VarianceReduction>;

/// ProLoRA (methods.md 5): adapters are trained on one base and moved into another. Source is any recipe with linear
/// adapters under a contrastive loss, such as r_adapter<Arch>. `deploy(trainer, alpha, other_base, options)` of
/// radapt/train/deploy_transfer.hpp moves them.
template <class Arch, class Source = lora<Arch, 8, on<site::q, site::v>, loss::Contrastive>>
using pro_lora = with_after<Source, Transfer>;

}  // namespace recipe
}  // namespace radapt
