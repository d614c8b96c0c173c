"""Look-alikes point the same way, others do not."""

import numpy as np

from annotation.vectors import N_FEATURES, make_vectors


def test_look_alikes_have_a_high_cosine_and_others_a_low_one() -> None:
    texts = ["The street lights are broken", "the STREET lights are broken!", "Too much litter in the park", "", "👍"]
    found = make_vectors(texts)
    cosines = found @ found.T
    assert found.shape == (5, N_FEATURES)
    assert cosines[0, 1] > 0.999
    assert abs(cosines[0, 2]) < 0.3
    assert np.abs(found[3:]).max() == 0
    assert make_vectors([]).shape == (0, N_FEATURES)


def test_a_vector_does_not_depend_on_its_company() -> None:
    texts = ["dark alley by the station", "no police seen for months"]
    assert (make_vectors(texts)[1] == make_vectors(texts[1:])[0]).all()
