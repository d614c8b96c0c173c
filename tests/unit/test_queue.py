"""The queue holds what the model needs, unlike each other, in one mix from top to bottom; the blind sample is uniform."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotation.queue import Pick, QueueSettings, Reason, draw_blind_sample, order_queue
from models.vocabulary import CommentId, RespondentId, ThemeId

THEMES = [ThemeId(t) for t in ("bins", "drugs", "lights")]
THRESHOLDS = np.array([0.4, 0.4, 0.3])
ONLY_DOUBT = QueueSettings(rare=0, random=0, look_alike=1)


def pool(n: int, seed: int = 0) -> tuple[list[CommentId], np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    ids = [CommentId(f"c{i:03}") for i in range(n)]
    return ids, rng.beta(0.3, 1.5, (n, 3)).round(4), rng.normal(size=(n, 8))


def queue(ids: list[CommentId], p: np.ndarray, v: np.ndarray, **given_: object) -> tuple[Pick, ...]:
    return order_queue(ids, p, THRESHOLDS, v, themes=THEMES, **{"budget": len(ids), **given_})  # type: ignore[arg-type]


def test_every_comment_is_there_once_and_the_budget_is_kept() -> None:
    ids, p, v = pool(60)
    assert sorted(x.comment_id for x in queue(ids, p, v)) == ids
    assert len(queue(ids, p, v, budget=25)) == 25
    assert len(queue(ids, p, v, budget=500)) == 60
    assert queue(ids, p, v, budget=0) == ()


def test_the_order_depends_on_ids_and_seed_and_not_on_the_order_of_the_input() -> None:
    ids, p, v = pool(80)
    mixed = np.random.default_rng(5).permutation(80)
    same = queue([ids[i] for i in mixed], p[mixed], v[mixed], seed=3)
    assert queue(ids, p, v, seed=3) == same
    assert queue(ids, p, v, seed=4) != same


def test_equal_comments_come_in_the_order_of_their_ids() -> None:
    ids = [CommentId(c) for c in "cab"]
    found = queue(ids, np.full((3, 3), 0.4), np.ones((3, 2)), settings=ONLY_DOUBT)
    assert [x.comment_id for x in found] == ["a", "b", "c"]


def test_the_nearest_to_a_threshold_comes_first_and_the_theme_in_doubt_is_named() -> None:
    p = np.array([[0.01, 0.95, 0.01], [0.01, 0.35, 0.01], [0.7, 0.01, 0.01], [0.01, 0.01, 0.3]])
    found = queue([CommentId(c) for c in "abcd"], p, np.eye(4), settings=ONLY_DOUBT)
    assert [(x.comment_id, x.theme) for x in found] == [("d", "lights"), ("b", "drugs"), ("c", "bins"), ("a", "bins")]
    assert (
        found[1].explanation
        == "nearest to the threshold of drugs among what was left: probability 0.35, coded from 0.40"
    )


def test_themes_take_turns_and_the_rarer_one_gets_more_than_its_part() -> None:
    p = np.full((100, 3), 0.0001)
    p[:90, 0], p[90:, 1] = 0.4, 0.4
    ids = [CommentId(f"{i:03}") for i in range(100)]
    found = Counter(x.theme for x in queue(ids, p, np.eye(100), budget=20, settings=ONLY_DOUBT))
    assert found["bins"] > found["drugs"] >= 4
    assert "lights" not in found


def test_look_alikes_wait() -> None:
    p = np.full((4, 3), 0.39)
    v = np.array([[1.0, 0.0], [1.0, 0.01], [0.99, 0.0], [0.0, 1.0]])
    found = queue([CommentId(c) for c in "abcd"], p, v, settings=QueueSettings(rare=0, random=0))
    assert [x.comment_id for x in found][:2] == ["a", "d"]
    known = queue([CommentId(c) for c in "abcd"], p, v, settings=QueueSettings(rare=0, random=0), decided_vectors=v[:1])
    assert known[0].comment_id == "d"


def test_rare_themes_are_looked_for_until_there_are_enough() -> None:
    rng = np.random.default_rng(1)
    p = np.column_stack((rng.beta(2, 2, 200), rng.beta(0.1, 4, 200), rng.beta(2, 2, 200))).round(4)
    ids = [CommentId(f"{i:03}") for i in range(200)]
    v, so_far = rng.normal(size=(200, 16)), np.array([50, 2, 50])
    found = queue(ids, p, v, budget=50, n_positive=so_far)
    looked = [x for x in found if x.reason is Reason.RARE_THEME]
    assert len(looked) == 5
    assert {x.theme for x in looked} == {"drugs"}
    assert np.mean([p[ids.index(x.comment_id), 1] for x in looked]) > 3 * p[:, 1].mean()
    enough = queue(ids, p, v, budget=50, n_positive=np.array([50, 30, 50]))
    assert Reason.RARE_THEME not in {x.reason for x in enough}


def test_the_first_half_has_the_same_mix_as_the_second() -> None:
    ids, p, v = pool(200)
    found = queue(ids, p, v, budget=100, settings=QueueSettings(rare=0.2, random=0.1, enough_positives=10**6))
    for part in (found[:50], found[50:]):
        counted = Counter(x.reason for x in part)
        assert [counted[r] for r in (Reason.RARE_THEME, Reason.RANDOM)] == [10, 5]


def test_random_picks_are_random_of_what_is_left() -> None:
    """With the queue all random, every comment is as likely to come first."""
    ids, p, v = pool(5)
    only = QueueSettings(rare=0, random=1)
    first = Counter(queue(ids, p, v, budget=1, seed=s, settings=only)[0].comment_id for s in range(1000))
    assert all(abs(first[c] - 200) < 60 for c in ids)


def test_explanations_hold_no_word_of_a_comment() -> None:
    ids, p, v = pool(40)
    for x in queue(ids, p, v, settings=QueueSettings(rare=0.3, random=0.2)):
        assert x.comment_id not in x.explanation
        assert x.theme is None or x.theme in x.explanation


def test_what_does_not_fit_is_refused() -> None:
    ids, p, v = pool(4)
    bad = [
        (ids[:3], p, v, {}),
        ([ids[0]] * 4, p, v, {}),
        (ids, np.where(p >= 0, np.nan, p), v, {}),
        (ids, p, v * np.inf, {}),
        (ids, p, v, {"n_positive": np.zeros(2, np.int64)}),
        (ids, p, v, {"decided_vectors": np.zeros((1, 3))}),
        (ids, p, v, {"budget": -1}),
    ]
    for some_ids, some_p, some_v, more in bad:
        with pytest.raises(ValueError):
            queue(some_ids, some_p, some_v, **more)
    with pytest.raises(ValueError):
        order_queue(ids, p[:, :0], np.zeros(0), v, themes=[], budget=2)
    with pytest.raises(ValueError):
        order_queue(ids, p, np.array([0.0, 0.5, 0.5]), v, themes=THEMES, budget=2)


@settings(max_examples=60)
@given(st.integers(0, 40), st.integers(0, 50), st.integers(0, 10_000))
def test_any_pool_gives_each_comment_at_most_once(n: int, budget: int, seed: int) -> None:
    ids, p, v = pool(n, seed)
    found = [x.comment_id for x in queue(ids, p, np.zeros_like(v) if seed % 3 == 0 else v, budget=budget, seed=seed)]
    assert len(found) == len(set(found)) == min(n, budget)


def test_a_blind_sample_is_uniform_seeded_and_without_repetition() -> None:
    ids = [CommentId(f"c{i}") for i in range(6)]
    drawn = [draw_blind_sample(ids, 2, seed=s) for s in range(3000)]
    assert all(len(set(d)) == 2 for d in drawn)
    pairs = Counter(frozenset(d) for d in drawn)
    assert len(pairs) == 15
    assert all(abs(n - 200) < 60 for n in pairs.values())
    assert draw_blind_sample(ids[::-1], 3, seed=1) == draw_blind_sample(ids, 3, seed=1)
    assert sorted(draw_blind_sample(ids, 99, seed=0)) == ids
    for wrong in ((ids * 2, 2), (ids, -1)):
        with pytest.raises(ValueError):
            draw_blind_sample(wrong[0], wrong[1], seed=0)


def test_a_blind_sample_of_respondents_holds_all_their_comments_and_draws_each_as_often() -> None:
    ids = [CommentId(f"c{i}") for i in range(6)]
    who = [RespondentId(r) if r else None for r in ("a", "a", "a", "b", None, None)]
    drawn = [draw_blind_sample(ids, 1, seed=s, respondents=who) for s in range(2000)]
    counted = Counter(drawn)
    assert set(counted) == {("c0", "c1", "c2"), ("c3",), ("c4",), ("c5",)}
    assert all(abs(n - 500) < 100 for n in counted.values())
    assert len(draw_blind_sample(ids, 5, seed=0, respondents=who)) >= 5
    mixed = [3, 5, 0, 2, 4, 1]
    again = draw_blind_sample([ids[i] for i in mixed], 3, seed=9, respondents=[who[i] for i in mixed])
    assert again == draw_blind_sample(ids, 3, seed=9, respondents=who)
    with pytest.raises(ValueError):
        draw_blind_sample(ids, 2, seed=0, respondents=who[:3])
