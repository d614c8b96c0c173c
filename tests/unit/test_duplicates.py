from models.vocabulary import CommentId
from nlp_service.duplicates import MIN_NEAR_WORDS, find_duplicates

CAMPAIGN = "I strongly object to the closure of the North Pole Road safety hub and ask the council to think again before winter"


def ids(*texts: str) -> list[tuple[CommentId, str]]:
    return [(CommentId(str(i)), text) for i, text in enumerate(texts)]


def test_copies_group_whatever_their_case_and_punctuation() -> None:
    found = find_duplicates(ids("More police!", "Bins", "more  police", "MORE POLICE."))
    assert [g.comments for g in found.groups] == [("0", "2", "3")]
    assert found.groups[0].n_wordings == 1
    assert (found.n_comments, found.n_distinct) == (4, 2)


def test_a_campaign_with_small_changes_is_one_group_and_the_largest_comes_first() -> None:
    changed = [CAMPAIGN, f"Dear council, {CAMPAIGN}", CAMPAIGN.replace("strongly", "really"), f"{CAMPAIGN} please!!"]
    found = find_duplicates(
        ids("Lights", "lights", *changed, "An entirely different comment about the lights on the bridge")
    )
    assert [g.size for g in found.groups] == [4, 2]
    assert found.groups[0].n_wordings == 4
    assert found.n_distinct == 3


def test_short_and_merely_related_comments_stand_alone() -> None:
    assert MIN_NEAR_WORDS > 5
    texts = (
        "more police on the street",
        "more police on the streets",
        "I would like to see more police officers on foot in the evenings near the station",
        "I would like to see more lighting on the canal path in the evenings near the bridge",
    )
    assert find_duplicates(ids(*texts)).groups == ()


def test_order_and_company_do_not_change_who_belongs_together() -> None:
    texts = [
        CAMPAIGN,
        "Bins",
        f"{CAMPAIGN} please",
        "bins!",
        "Something that nobody else says in this consultation at all",
    ]
    forward = {frozenset(texts[int(i)] for i in g.comments) for g in find_duplicates(ids(*texts)).groups}
    backward = {frozenset(texts[::-1][int(i)] for i in g.comments) for g in find_duplicates(ids(*texts[::-1])).groups}
    assert forward == backward
    assert find_duplicates([]).groups == ()
    assert find_duplicates(ids("!!!", "???", "!!!")).n_distinct == 2
