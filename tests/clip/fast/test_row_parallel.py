"""Parts of a batch on threads of their own give what the whole batch gives, and only where rows are independent."""

from threading import Thread, get_ident

import pytest
import torch
from torch import nn

from protect.clip import image_features as images_module
from protect.clip import text_features as text_tower
from protect.clip.fast.row_parallel import by_rows, parts_for, run_parallel
from protect.clip.image_features import image_features
from protect.clip.models import load_encoder
from protect.clip.text_features import text_features, text_from

CPU = torch.device("cpu")
CAPTIONS = ("a dog", "two cats on a chair", "a red boat", "the old man and the sea", "rain", "a dog and a boat")


@pytest.fixture(autouse=True)
def two_threads(monkeypatch):
    """Two threads, and parts small enough for these tests."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    monkeypatch.setattr(images_module, "LEAST", 32 * 32)
    monkeypatch.setattr(text_tower, "LEAST", 4)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=["tiny-resnet", "tiny-vit"])
def surrogate(request):
    surrogate = load_encoder(request.param, CPU, size=32, seed=3).eval().requires_grad_(False)
    surrogate.autocast_type = None
    return surrogate


def pictures(seed=0):
    return torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


def with_gradient(work, x):
    """The rows that come out, and the gradient by x of a loss to which each number matters differently."""
    x = x.clone().requires_grad_()
    found = work(x)
    loss = (found.square() * torch.linspace(0, 1, found.numel()).view_as(found)).sum()
    return found.detach(), *torch.autograd.grad(loss, x)


def spied(monkeypatch, owner, name):
    """Sizes of what a method is called with, and by which thread."""
    calls, real = [], getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda x, *rest: calls.append((len(x), get_ident())) or real(x, *rest))
    return calls


def test_workers_take_one_thread_each_and_leave_the_others_theirs():
    assert run_parallel(lambda _: torch.get_num_threads(), range(6), CPU) == [1] * 6
    found = []
    later = Thread(target=lambda: found.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert [torch.get_num_threads(), *found] == [2, 2]


def test_threads_that_parts_leave_over_work_inside_them():
    torch.set_num_threads(4)
    assert run_parallel(lambda _: torch.get_num_threads(), range(2), CPU) == [2, 2]


def test_results_come_in_order_and_errors_come_out():
    assert run_parallel(lambda x: x * x, range(9), CPU) == [x * x for x in range(9)]
    with pytest.raises(ZeroDivisionError):
        run_parallel(lambda x: 1 / x, [1, 0], CPU)


def test_workers_see_gradient_mode_and_autocast_of_their_caller():
    def modes(_):
        return torch.is_grad_enabled(), torch.is_autocast_enabled("cpu")

    assert run_parallel(modes, range(2), CPU) == [(True, False)] * 2
    with torch.no_grad(), torch.autocast("cpu"):
        assert run_parallel(modes, range(2), CPU) == [(False, True)] * 2


def test_little_work_is_one_part_and_much_work_many_on_each_thread():
    assert [parts_for(amount, 10, 100, CPU) for amount in (1, 19, 20, 200, 201, 401)] == [1, 1, 2, 2, 4, 6]
    assert [parts_for(amount, 10, 100, torch.device("meta")) for amount in (1, 20, 201)] == [1, 1, 3]


def test_rows_in_parts_have_the_values_and_gradients_of_the_whole():
    weight = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    x, scale = torch.arange(28.0).view(7, 4), torch.arange(7.0)

    def work(x, scale):
        return (x @ weight).tanh() * scale[:, None]

    whole = with_gradient(lambda x: work(x, scale), x)
    parts = with_gradient(lambda x: by_rows(work, x, scale, parts=3), x)
    assert all(torch.allclose(a, b) for a, b in zip(whole, parts, strict=True))
    with torch.no_grad():
        found = by_rows(work, x.requires_grad_(), scale, parts=3)
    assert torch.allclose(found, whole[0]) and not found.requires_grad


def test_pictures_of_a_frozen_surrogate_go_in_parts(surrogate, monkeypatch):
    whole = with_gradient(surrogate.images, pictures())
    calls = spied(monkeypatch, surrogate, "images")
    parts = with_gradient(lambda x: image_features(surrogate, x), pictures())
    assert sorted(rows for rows, _ in calls) == [2, 3]
    assert get_ident() not in {thread for _, thread in calls}
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(whole, parts, strict=True))


def test_one_thread_too_takes_few_pictures_at_a_time(surrogate, monkeypatch):
    torch.set_num_threads(1)
    whole = with_gradient(surrogate.images, pictures())
    monkeypatch.setattr(images_module, "PIXELS", 2 * 32 * 32)
    calls = spied(monkeypatch, surrogate, "images")
    parts = with_gradient(lambda x: image_features(surrogate, x), pictures())
    assert calls == [(rows, get_ident()) for rows in (2, 2, 1)]
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(whole, parts, strict=True))


def test_norms_in_training_see_the_whole_batch(surrogate):
    norms = [norm for norm in surrogate.train().modules() if isinstance(norm, nn.BatchNorm2d)]
    image_features(surrogate, pictures())
    assert norms and {int(norm.num_batches_tracked) for norm in norms} == {1}


def test_weights_that_learn_get_their_gradient(surrogate):
    surrogate.requires_grad_(True)
    image_features(surrogate, pictures().requires_grad_())[:, 0].sum().backward()
    assert sum(value.grad is not None and bool(value.grad.any()) for value in surrogate.model.visual.parameters()) > 9


def test_texts_go_in_parts(surrogate, monkeypatch):
    tokens = surrogate.rows([surrogate.encode(caption) for caption in CAPTIONS])
    embeddings = surrogate.embed(tokens)
    whole = with_gradient(lambda x: surrogate.text_from(x, tokens), embeddings)
    calls = spied(monkeypatch, surrogate, "text_from")
    parts = with_gradient(lambda x: text_from(surrogate, x, tokens), embeddings)
    assert [rows for rows, _ in calls] == [3, 3]
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(whole, parts, strict=True))
    calls = []
    real = text_tower.ends_of
    monkeypatch.setattr(text_tower, "ends_of", lambda text, x, *rest: calls.append(len(x)) or real(text, x, *rest))
    assert torch.allclose(text_features(surrogate, tokens), whole[0], atol=1e-5)
    assert len(calls) == 2 and max(calls) < 1.5 * min(calls)  # alike in tokens, not in rows


@pytest.mark.parametrize("name", ["tiny-resnet", "tiny-vit"])
def test_words_and_noise_are_those_of_one_thread(name, small_minimiser):
    found = []
    for threads in (1, 2, 2):
        torch.set_num_threads(threads)
        made, rows = small_minimiser(name), torch.arange(6)
        made.freeze()
        made.search_words(rows)
        made.move_noise(rows)
        found.append((made.choice, made.window.noise(rows)))
    one, two, again = found
    assert torch.equal(one[0], two[0])
    same = (one[1] - two[1]).abs() < 0.01
    assert same.float().mean() > 0.999  # a gradient next to zero may round to either sign
    assert torch.equal(two[0], again[0]) and torch.equal(two[1], again[1])
