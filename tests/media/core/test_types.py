import pytest

from media.core.types import CallPlan, Instruct


@pytest.mark.parametrize("tools_json", ["", "{}", "[1]", "[{]"])
def test_tools_that_are_not_a_list_of_objects_are_refused_at_the_door(tools_json):
    with pytest.raises(ValueError):
        Instruct(tools_json=tools_json)
    with pytest.raises(ValueError):
        CallPlan("c", "", "v", "m", "t", tools_json=tools_json)


def test_a_list_of_objects_is_taken():
    assert Instruct(tools_json='[{"type": "function"}]').tools_json
