"""Unlearning losses: identities between methods, and the direction in which each term pushes."""

import math

import pytest
import torch
import torch.nn.functional as F

from protect.clip.losses import clip_loss
from protect.settings.unlearn import ForgetSettings
from protect.unlearn import lorentz
from protect.unlearn.head import Clip
from protect.unlearn.hyperbolic_heads import Meru, part_of
from protect.unlearn.methods import METHODS, ac, ccu, cliperase, finetune, ga, hac, hysac, kl, safeclip
from protect.unlearn.step import Part, Step

DIM, PAIRS = 8, 5
SCALE = 10.0


class Sphere(Clip):
    """A CLIP without towers: embeddings are given."""

    def __init__(self):
        torch.nn.Module.__init__(self)

    @property
    def scale(self):
        return torch.tensor(SCALE)


class Hyperboloid(Meru):
    """A MERU without towers."""

    def __init__(self):
        torch.nn.Module.__init__(self)
        self.log_curvature = torch.nn.Parameter(torch.tensor(0.3))

    @property
    def scale(self):
        return torch.tensor(SCALE)


def unit(seed, count=PAIRS):
    return F.normalize(torch.randn(count, DIM, generator=torch.Generator().manual_seed(seed)), dim=-1)


def part(model, seed, captions=None, kinds=None, before=None, free=True, size=1.0):
    """A side of a batch with embeddings of its own; `before` are the original's, or equal to the student's."""
    captions = captions or [f"{seed} caption {i}" for i in range(PAIRS)]
    side = Part(model, model, torch.zeros(len(captions), 3, 1, 1), captions, kinds)
    images, texts = size * unit(seed, len(captions)), size * unit(seed + 100, len(captions))
    side.images_before, side.texts_before = (images, texts) if before is None else (unit(before), unit(before + 100))
    side.images, side.texts = images.clone().requires_grad_(free), texts.clone().requires_grad_(free)
    return side


def step(model=None, share=1.0, **options):
    model = model or Sphere()
    return Step(part(model, 1, **options), part(model, 2, **options), share)


def after_a_step(state, loss, size=1e-2):
    """The same with student embeddings moved a little down the loss."""
    leaves = [state.forget.images, state.forget.texts, state.retain.images, state.retain.texts]
    gradients = torch.autograd.grad(loss(state), leaves, allow_unused=True)
    moved = Step(*(Part(p.student, p.reference, p.pixels, p.captions, p.kinds) for p in (state.forget, state.retain)))
    for side, old in ((moved.forget, state.forget), (moved.retain, state.retain)):
        side.images_before, side.texts_before = old.images_before, old.texts_before
    places = ((moved.forget, "images"), (moved.forget, "texts"), (moved.retain, "images"), (moved.retain, "texts"))
    for (side, name), leaf, gradient in zip(places, leaves, gradients, strict=True):
        new = leaf if gradient is None else leaf - size * gradient
        setattr(side, name, F.normalize(new.detach(), dim=-1) if state.student.geometry == "sphere" else new.detach())
    return moved


def test_finetuning_is_the_clip_loss():
    state = step()
    expected = clip_loss(state.retain.images, state.retain.texts, torch.tensor(SCALE))
    assert torch.allclose(finetune.loss(state, ForgetSettings()), expected)


@pytest.mark.parametrize("consistency", ["batch", "coordinates"])
def test_cliperase_without_forgetting_and_consistency_is_finetuning(consistency):
    state = step(before=7)
    settings = ForgetSettings(erase=0.0, consist=0.0, consistency=consistency)
    assert torch.allclose(cliperase.loss(state, settings), finetune.loss(state, settings))


@pytest.mark.parametrize("consistency", ["batch", "coordinates"])
def test_cliperase_consistency_is_0_for_the_original_and_positive_elsewhere(consistency):
    term = {"batch": kl.batch_divergence, "coordinates": cliperase.coordinate_divergence}[consistency]
    assert term(step()).item() == pytest.approx(0, abs=1e-6)
    assert term(step(before=7)).item() > 1e-3


def test_cliperase_readings_of_consistency_differ():
    state = step(before=7)
    assert kl.batch_divergence(state).item() != pytest.approx(cliperase.coordinate_divergence(state).item(), rel=0.1)


def test_cliperase_does_not_push_below_cosine_0():
    state = step()
    state.forget.texts = -state.forget.images.detach()
    state.forget.texts.requires_grad_()
    value = cliperase.forgetting(state)
    assert value.item() == 0
    assert not torch.autograd.grad(value, state.forget.images)[0].any()


def test_ac_without_the_true_pairs_is_infonce_with_random_positives():
    """With alpha = gamma = 1 and beta = 0: retain rows as they are, forget rows with any other forget text."""
    state = step(share=0.5)
    settings = ForgetSettings(wrong=1.0, right=0.0, spread=1.0)
    log_rows = state.union.log_softmax(dim=1), state.union.T.log_softmax(dim=1)
    retain = -sum(rows[:PAIRS].diagonal()[:PAIRS].mean() for rows in log_rows) / 2
    forget = 0.0
    for rows in log_rows:
        own = rows[PAIRS:, PAIRS:]
        uniform = -own.mean(dim=1)  # a positive drawn at random from the forget pairs, own one included
        forget += uniform.mean() / 2
    # the own pair (i = j) is missing from L_neg, and L_perf is a mean, not a sum, over the batch
    own_pair = ac.positive(state) / PAIRS
    expected = retain + 0.5 * (forget + own_pair - math.log(2 * PAIRS))
    assert torch.allclose(ac.loss(state, settings), expected, atol=1e-5)


def test_ac_without_forgetting_is_the_contrastive_loss_against_the_union():
    state = step()
    settings = ForgetSettings(calibrate=0.0)
    match = torch.arange(PAIRS)
    expected = (F.cross_entropy(state.union[:PAIRS], match) + F.cross_entropy(state.union.T[:PAIRS], match)) / 2
    assert torch.allclose(ac.loss(state, settings), expected)


def test_ac_takes_texts_of_the_same_words_for_no_wrong_pair():
    assert ac.negative(step(captions=["a cat"] * PAIRS)).item() == 0
    assert ac.negative(step()).item() != 0


def test_ac_weighs_forgetting_by_the_share_of_forget_pairs():
    settings = ForgetSettings()
    calibration = [ac.loss(step(share=share), settings) - ac.retention(step()) for share in (0.1, 0.2)]
    assert torch.allclose(2 * calibration[0], calibration[1], atol=1e-5)


def test_hac_without_cones_is_ac_in_its_geometry():
    state = step(Hyperboloid())
    settings = ForgetSettings(hold=0.0, expel=0.0)
    assert torch.allclose(hac.loss(state, settings), ac.loss(state, settings))
    distances = lorentz.distances(state.forget.images, state.forget.texts, state.student.curvature)
    assert torch.allclose(state.union[PAIRS:, PAIRS:], -SCALE * distances)


def test_hac_reg_adds_the_distance_to_the_origin():
    state, settings = step(Hyperboloid()), ForgetSettings(norm=0.5)
    lengths = state.forget.images.norm(dim=-1).mean() + state.forget.texts.norm(dim=-1).mean()
    extra = METHODS["hac_reg"].loss(state, settings) - hac.loss(state, settings)
    assert torch.allclose(extra, 0.5 * lengths)


def test_hac_cones_hold_the_retained_and_expel_the_forgotten():
    student, settings = Hyperboloid(), ForgetSettings(calibrate=0.0)
    inside = step(student)
    for side in (inside.forget, inside.retain):
        side.images = (side.texts.detach() * 1.5).requires_grad_()
    held = hac.loss(inside, settings) - ac.loss(inside, settings)
    aperture = lorentz.half_aperture(inside.forget.texts, student.curvature)
    assert torch.allclose(held, settings.expel * aperture.mean(), atol=2e-3)


def test_ga_is_minus_the_loss_of_the_forget_pairs_up_to_its_floor():
    state = step()
    expected = clip_loss(state.forget.images, state.forget.texts, torch.tensor(SCALE))
    assert torch.allclose(ga.loss(state, ForgetSettings(floor=1000.0)), -expected)
    state.forget.texts = (-state.forget.images).detach()
    assert ga.forget_loss(state, 0.0).item() == pytest.approx(math.log(PAIRS))


def test_ga_cannot_take_a_shared_caption_from_an_image():
    """One caption for all forget pairs: which text an image has is no question, whatever the weights."""
    state = step(captions=["a cat"] * PAIRS)
    state.forget.texts = state.forget.texts[:1].expand(PAIRS, -1)
    logits = state.student.logits(state.forget.images, state.forget.texts)
    chosen = -logits.log_softmax(dim=0).diagonal().mean()
    assert torch.allclose(ga.loss(state, ForgetSettings(floor=1000.0)), -(math.log(PAIRS) + chosen) / 2)


def test_graddiff_and_kl_are_their_parts():
    state, settings = step(before=7), ForgetSettings()
    ascent = ga.loss(state, settings)
    assert torch.allclose(METHODS["graddiff"].loss(state, settings), finetune.loss(state, settings) + ascent)
    assert torch.allclose(METHODS["kl"].loss(state, settings), kl.batch_divergence(state) + ascent)
    assert torch.allclose(METHODS["kl"].loss(step(), settings), ga.loss(step(), settings), atol=1e-5)


def test_l1_sparse_is_finetuning_with_a_penalty_on_what_is_trained():
    state = step(Hyperboloid())
    settings = ForgetSettings(sparse=2.0)
    extra = METHODS["l1_sparse"].loss(state, settings) - finetune.loss(state, settings)
    assert extra.item() == pytest.approx(0.6, abs=1e-5)


def test_safeclip_is_least_where_unsafe_inputs_are_their_safe_twins():
    state = step()
    start = safeclip.loss(state, ForgetSettings())
    redirected = step()
    redirected.forget.images, redirected.forget.texts = (
        redirected.retain.images_before,
        redirected.retain.texts_before,
    )
    assert safeclip.loss(redirected, ForgetSettings()) < start


def test_safeclip_by_default_is_the_release_s_sum():
    state = step(before=7)
    unsafe, safe, scale = state.forget, state.retain, torch.tensor(SCALE)
    across = [
        clip_loss(student, original, scale)
        for student, original in (
            (unsafe.texts, safe.images_before), (unsafe.images, safe.texts_before),
            (safe.texts, safe.images_before), (safe.images, safe.texts_before),
        )
    ]  # fmt: skip
    apart = [
        (1 - (student * original).sum(dim=1)).mean()
        for student, original in (
            (unsafe.texts, safe.texts_before), (unsafe.images, safe.images_before),
            (safe.texts, safe.texts_before), (safe.images, safe.images_before),
        )
    ]  # fmt: skip
    weights = torch.tensor([0.25, 0.5, 0.25, 0.25, 0.1, 0.2, 0.1, 0.1])
    expected = (weights * torch.stack(across + apart)).sum() / 1.75
    assert torch.allclose(safeclip.loss(state, ForgetSettings()), expected)


def test_safeclip_with_rivals_leaves_the_own_caption():
    """An unsafe image between its twin's caption and its own: only rivals tell it to prefer the twin's."""
    state = step()
    unsafe, safe = state.forget, state.retain
    own = unsafe.texts_before
    own = own - own @ torch.linalg.pinv(safe.texts_before) @ safe.texts_before  # what no safe caption shares
    images = F.normalize(safe.texts_before + own, dim=-1).requires_grad_()
    for rivals, leaves in ((safe.texts_before[:0], False), (unsafe.texts_before, True)):
        loss = safeclip.across(images, safe.texts_before, torch.tensor(SCALE), rivals)
        (gradient,) = torch.autograd.grad(loss, images)
        assert ((gradient * own).sum(dim=1).mean().item() > 1e-3) == leaves


def test_safeclip_rivals_are_where_the_student_has_them_and_stay_there():
    """The unsafe captions' gradient is that of their own terms, not of the images that should leave them."""
    state, settings, scale = step(before=7), ForgetSettings(rivals=True), torch.tensor(SCALE)
    unsafe, safe = state.forget, state.retain
    own = 0.25 * safeclip.across(unsafe.texts, safe.images_before, scale, unsafe.images.detach())
    own = own + 0.1 * safeclip.apart(unsafe.texts, safe.texts_before)
    gradients = [torch.autograd.grad(loss, unsafe.texts)[0] for loss in (safeclip.loss(state, settings), own / 1.75)]
    assert torch.allclose(*gradients, atol=1e-6)


def test_preserve_is_the_weight_of_the_safe_pairs_contrast():
    settings = [ForgetSettings(preserve=value) for value in (0.0, 1.0, 3.0)]
    state = step(before=7)
    sums = [safeclip.loss(state, s) * (1.25 + 0.5 * s.preserve) for s in settings]
    safe, scale = state.retain, torch.tensor(SCALE)
    contrasts = clip_loss(safe.texts, safe.images_before, scale) + clip_loss(safe.images, safe.texts_before, scale)
    assert torch.allclose(sums[1] - sums[0], 0.25 * contrasts) and torch.allclose(sums[2] - sums[0], 0.75 * contrasts)
    state = step(Hyperboloid())
    sums = [hysac.loss(state, s) * (6 + s.preserve) for s in settings]
    contrast = clip_by(state.student, state.retain.images, state.retain.texts)
    assert torch.allclose(sums[1] - sums[0], contrast) and torch.allclose(sums[2] - sums[0], 3 * contrast)


def test_hysac_weighs_four_contrasts_and_three_cones():
    state, none = step(Hyperboloid()), ForgetSettings(order=0.0)
    student = state.student
    images, texts = (state.retain.images, state.forget.images), (state.retain.texts, state.forget.texts)
    contrasts = [clip_by(student, i, t) for i in images for t in texts]
    assert torch.allclose(hysac.loss(state, none), torch.stack(contrasts).mean())
    cones = [
        student.entailment(*ends) for ends in ((texts[0], images[0]), (texts[1], images[1]), (images[0], texts[1]))
    ]
    expected = (torch.stack(contrasts).sum() + torch.stack(cones).sum()) / 7
    assert torch.allclose(hysac.loss(state, ForgetSettings()), expected)


def clip_by(student, images, texts):
    logits, match = student.logits(images, texts), torch.arange(len(images))
    return (F.cross_entropy(logits, match) + F.cross_entropy(logits.T, match)) / 2


def test_safe_traversal_brings_far_points_to_the_limit_and_leaves_near_ones():
    student = Hyperboloid()
    x = torch.cat([0.1 * unit(1), 3.0 * unit(2)])
    moved = hysac.safe_traversal(x, 1.0, student)
    assert torch.equal(moved[:PAIRS], x[:PAIRS])
    assert torch.allclose(lorentz.radius(moved[PAIRS:], student.curvature), torch.ones(PAIRS), atol=1e-5)
    assert torch.allclose(F.normalize(moved, dim=-1), F.normalize(x, dim=-1), atol=1e-6)


def test_the_papers_limit_never_binds_at_the_distances_it_reports():
    """Distances near 0.5: the limit is beyond them, so the traversal would do nothing."""
    distances = torch.tensor([0.45, 0.5, 0.55])
    assert hysac.paper_limit(distances, 1.0) == pytest.approx(0.5 + math.tanh(-0.3) + 1)
    assert hysac.paper_limit(distances, 1.0) > distances.max()


KINDS = torch.tensor([0, 0, 1, 1, 2])


def ccu_step():
    model = Sphere()
    return Step(part(model, 1, kinds=torch.full((PAIRS,), 3)), part(model, 2, kinds=KINDS))


def test_ccu_is_least_where_an_image_says_nothing_of_its_class():
    state = ccu_step()
    middle = torch.linalg.pinv(ccu.heads(state)).sum(dim=1)  # as near to each class as to any other
    state.forget.images = F.normalize(middle, dim=0).expand(PAIRS, -1)
    assert ccu.inverse(state).item() == pytest.approx(0, abs=1e-5)
    state.forget.images = ccu.heads(state)[-1].expand(PAIRS, -1)
    own = ccu.inverse(state).item()
    state.forget.images = ccu.heads(state)[0].expand(PAIRS, -1)
    assert own > 0.1 and ccu.inverse(state).item() > 0.1  # another class for sure is no better


def test_ccu_balance_is_least_where_every_class_is_named_equally_often():
    state = ccu_step()
    heads = ccu.heads(state)
    state.forget.images = heads
    assert ccu.balance(state).item() == pytest.approx(0, abs=1e-3)
    state.forget.images = heads[:1].expand(len(heads), -1)
    assert ccu.balance(state).item() > 1


def test_ccu_takes_images_away_from_what_the_other_modality_says():
    state = ccu_step()
    state.forget.texts_before = unit(101)[:1].expand(PAIRS, -1)
    state.forget.images = F.normalize(state.forget.texts_before + 0.3 * unit(9), dim=-1).requires_grad_()
    moved = after_a_step(state, ccu.inverse, size=0.1)
    assert (moved.forget.images * state.forget.texts_before).sum() < (
        state.forget.images * state.forget.texts_before
    ).sum()


def test_ccu_keeps_the_retained_images_and_does_not_touch_the_other_modality():
    state = ccu_step()
    assert ccu.retention(state).item() == pytest.approx(0, abs=1e-5)
    moved = ccu_step()
    moved.retain.images = unit(50)
    assert ccu.retention(moved).item() > 1e-3
    texts = [state.forget.texts, state.retain.texts]
    assert torch.autograd.grad(ccu.loss(state, ForgetSettings()), texts, allow_unused=True) == (None, None)


def test_ccu_separates_without_a_second_image_of_a_class():
    state = ccu_step()
    state.retain.kinds = torch.arange(PAIRS)
    assert ccu.separation(state).item() == 0
    assert ccu.separation(ccu_step()).item() > 0


PUSHES = {
    "cliperase": "sphere", "ac": "sphere", "ga": "sphere", "graddiff": "sphere", "kl": "sphere",
    "hac": "hyperbolic", "hac_reg": "hyperbolic",
}  # fmt: skip


@pytest.mark.parametrize("name", PUSHES)
def test_forgetting_methods_lower_the_similarity_of_forget_pairs(name):
    model = Sphere() if PUSHES[name] == "sphere" else Hyperboloid()
    state = Step(part(model, 1, kinds=torch.full((PAIRS,), 3)), part(model, 2, kinds=KINDS))
    for side in (state.forget, state.retain):
        side.texts = F.normalize(side.images.detach() + 0.1 * unit(9), dim=-1).requires_grad_()
        side.images_before, side.texts_before = side.images.detach(), side.texts.detach()
    settings = ForgetSettings(right=1.0, wrong=0.5, spread=0.5)
    moved = after_a_step(state, lambda s: METHODS[name].loss(s, settings))
    before = model.matched(state.forget.images, state.forget.texts).mean()
    assert model.matched(moved.forget.images, moved.forget.texts).mean() < before


@pytest.mark.parametrize(
    ("caption", "part"), [("a photo of a dog", "dog"), ("two men in the rain", "rain"), ("sunset", "sunset")]
)
def test_a_part_of_a_caption_is_its_last_thing(caption, part):
    assert part_of(caption) == part
