"""Templates of HTTP tools: what they can do, what they can't, and what that costs at most."""

import asyncio
import json
from time import thread_time
from typing import Any

import pytest

from control.httptools.templates import MARK, BadToolTemplate, CannotRender, Into, Steps, compile_template

#: Of bombs, of their thread's own time.
MOST_MS = 2_000


def rendered(source: str, into: Into = Into.TEXT, **values: Any) -> str:
    return compile_template(source, into).render(values, Steps())


@pytest.mark.parametrize(
    ("source", "values", "text"),
    [
        ("Hi {{ a.b }}!", {"a": {"b": 3}}, "Hi 3!"),
        ("{{ a.b.c.d }}|{{ nobody }}", {"a": {}}, "|"),
        ("{{ a[0].n }}{{ a[-1]['n'] }}{{ a[7] }}", {"a": [{"n": 1}, {"n": 2}]}, "12"),
        ("{% if a > 1 and not b %}yes{% else %}no{% endif %}", {"a": 2, "b": False}, "yes"),
        (
            "{% for x in a %}{{ x.n }}{% if not loop.last %}, {% endif %}{% endfor %}",
            {"a": [{"n": "p"}, {"n": "q"}]},
            "p, q",
        ),
        ("{{ a | default('none') | upper }}", {}, "NONE"),
        ("{{ a | join(', ') }} {{ a | length }}", {"a": ["x", 1, None]}, "x, 1,  3"),
        ("{{ a }}", {"a": {"b": [True, None, 1.5, "ü"]}}, '{"b": [true, null, 1.5, "ü"]}'),
        ("{{ a | tojson }}", {"a": 'say "hi"'}, '"say \\"hi\\""'),
        ("{{ 'y' if a is defined else 'n' }}{{ a | round(1) }}", {"a": 2.345}, "y2.3"),
        ("{% if 1 < a <= 3 != b %}y{% endif %}{{ 'n' if 3 < a < b.c.d else 'm' }}", {"a": 3, "b": {"c": 1}}, "ym"),
        (
            "{% for x in a %}{{ x in b }} {{ x not in b }} {{ x == b[0] }} {{ x >= 'q' }} {{ 'p' in x }}|{% endfor %}",
            {"a": ["p", "q"], "b": ["q"]},
            "false true false false true|true false true true false|",
        ),
        ("{{ 'x' in a }}{{ a == none }}{{ a != b }}" * 9, {"a": {"x": "y" * 99_000}, "b": []}, "truefalsetrue" * 9),
    ],
)
def test_templates_show_choose_and_repeat(source: str, values: dict[str, Any], text: str) -> None:
    assert rendered(source, **values) == text


@pytest.mark.parametrize(
    "source",
    [
        "{{ a() }}",
        "{{ a.b() }}",
        "{{ range(9) }}",
        "{% set a = 1 %}",
        "{% macro m() %}{% endmacro %}",
        "{% include 'x' %}",
        "{% import 'x' as y %}",
        "{% extends 'x' %}",
        "{% block x %}{% endblock %}",
        "{{ 'a' * 1000 }}",
        "{{ a ~ a }}",
        "{{ a + a }}",
        "{{ a ** a }}",
        "{{ a % a }}",
        "{{ [a, a] }}",
        "{{ {'a': 1} }}",
        "{{ a | format(1) }}",
        "{{ a | attr('x') }}",
        "{{ a | map('upper') }}",
        "{{ a[1:2] }}",
        "{{ _steps }}",
        "{{ a | join(d=1) }}",
        "{{ a | join(*b) }}",
        "{% for a, b in c %}{% endfor %}",
        "{% for a in b recursive %}{% endfor %}",
        "{% for a in b if a %}{% endfor %}",
        "{% for a in b %}{% for c in b %}{% for d in b %}{% for e in b %}{% endfor %}{% endfor %}{% endfor %}{% endfor %}",
        "{% filter upper %}a{% endfilter %}",
        "{% call a() %}{% endcall %}",
        "{% with a = 1 %}{% endwith %}",
        "{% autoescape true %}{% endautoescape %}",
        "{{ a",
        "{% if a %}",
        "a\0b",
        "x" * 8_001,
        "{{" + "(" * 3_000 + "}}",
        "{{ a" + ".b" * 3_000 + " }}",
        "{% if a %}" * 700,
        "{{ 9" + "9" * 7_000 + " }}",
        "{{ a }}" * 700,
    ],
    ids=lambda source: source[:30],
)
def test_what_a_template_may_not_have(source: str) -> None:
    began_seconds = thread_time()
    with pytest.raises(BadToolTemplate):
        compile_template(source, Into.TEXT)
    assert (thread_time() - began_seconds) * 1000 < MOST_MS


@pytest.mark.parametrize(
    "source",
    [
        "{{ a.__class__ }}",
        "{{ a.upper }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ a.items }}",
        "{{ self }}",
        "{{ loop }}",
        "{{ b.append }}",
    ],
)
def test_nothing_of_python_is_within_reach(source: str) -> None:
    assert rendered(source, a="x", b=[1]) == ""


@pytest.mark.parametrize(
    ("source", "values"),
    [
        (
            "{% for i in a %}{% for j in a %}{% for k in a %}x{% endfor %}{% endfor %}{% endfor %}",
            {"a": list(range(1000))},
        ),
        ("{% for i in a %}{% for j in a %}{% for k in a %}{% endfor %}{% endfor %}{% endfor %}", {"a": [0] * 1000}),
        ("{% for i in a %}{{ b }}{% endfor %}", {"a": [0] * 1000, "b": "x" * 60_000}),
        ("{{ b }}" * 300, {"b": "x" * 60_000}),
        ("{{ b | upper | lower | title | trim | upper | lower }}" * 50, {"b": "x" * 60_000}),
        ("{{ a | join('xxxxxxxxxxxxxxxxxxxx') | upper }}" * 40, {"a": [""] * 30_000}),
        ("{% for i in a %}{{ a | tojson | length }}{% endfor %}", {"a": [0] * 20_000}),
        ("{% for i in a %}" + "/" * 7_900 + "{% endfor %}", {"a": [0] * 1_000}),
        ("{% if 2 in a %}{% endif %}" * 50, {"a": [1] * 20_000}),
        ("{% for i in a %}{% if i not in b %}{% endif %}{% endfor %}", {"a": [0.5] * 50, "b": [1] * 20_000}),
        ("{% if a == b < b %}{% endif %}" * 50, {"a": [1] * 20_000, "b": [1] * 20_000}),
        ("{{ 'y' if a == b else 'n' }}" * 50, {"a": {"x": [1] * 9_000}, "b": {"x": [1] * 9_000}}),
        ("{{ 'y' if 'b' in a }}" * 50, {"a": "a" * 60_000}),
        ("{{ 'y' if a <= b }}" * 50, {"a": "a" * 60_000, "b": "a" * 60_000}),
    ],
    ids=range(14),
)
async def test_a_bomb_ends_soon_and_the_loop_goes_on_meanwhile(source: str, values: dict[str, Any]) -> None:
    beats, stop = 0, False

    async def beat() -> None:
        nonlocal beats
        while not stop:
            beats += 1
            await asyncio.sleep(0.001)

    def explode() -> float:
        began_seconds = thread_time()
        with pytest.raises(CannotRender):
            rendered(source, **values)
        return thread_time() - began_seconds

    heart = asyncio.create_task(beat())
    took_seconds = await asyncio.to_thread(explode)
    stop = True
    await heart
    assert took_seconds * 1000 < MOST_MS and beats


def test_a_value_that_is_no_key_is_never_written_out() -> None:
    class Long(list[Any]):
        def __repr__(self) -> str:
            raise AssertionError("written outside the budget")

    assert rendered("{{ a[b] }}{{ b[b].c }}", a={}, b=Long()) == ""


def test_a_request_has_one_budget_for_all_its_templates() -> None:
    steps, template = Steps(), compile_template("{% for i in a %}x{% endfor %}", Into.TEXT)
    with pytest.raises(CannotRender):
        for _ in range(100):
            template.render({"a": [0] * 500}, steps)


@pytest.mark.parametrize(
    "value", ["a/b", "../x", "?q=1", "#f", "a b", "\r\nHost: evil", "%2e%2e", "ü", "@evil.example"]
)
def test_a_value_in_a_url_is_one_part_of_it(value: str) -> None:
    text = rendered("https://api.example/orders/{{ v }}/lines", Into.URL, v=value)
    assert text.count("/") == 5 and not set("?#@ \r\n") & set(text)


@pytest.mark.parametrize("value", [None, "", "\0"])
def test_a_value_in_a_url_is_not_empty(value: str | None) -> None:
    with pytest.raises(CannotRender):
        rendered("https://api.example/{{ v }}", Into.URL, v=value)


@pytest.mark.parametrize("value", [1, 1.5, True, None, "x", 'a "b" \\u0000 \\', [1, {"a": "b"}], {}])
def test_a_lone_expression_keeps_its_value(value: Any) -> None:
    template = compile_template("{{ v }}", Into.JSON)
    assert template.shows_value and json.loads(template.render({"v": value}, Steps())) == value
    assert not compile_template("a{{ v }}", Into.TEXT).shows_value


def test_secrets_leave_a_mark_which_no_value_can_make() -> None:
    template = compile_template("Bearer {{ secrets.key }}{{ v }}", Into.TEXT)
    assert template.secrets == {"key"}
    assert template.render({"v": "\0other\0", "secrets": {"key": "x"}}, Steps()) == f"Bearer {MARK}key{MARK}other"
    assert json.loads(rendered("{{ v }}", Into.JSON, v={"a\0": ["\0key\0"]})) == {"a": ["key"]}


@pytest.mark.parametrize(
    "source",
    [
        "{{ secrets.key | upper }}",
        "{{ secrets['key'] }}",
        "{{ secrets }}",
        "{% if secrets.key %}{% endif %}",
        "{{ secrets.key.x }}",
        "{{ 'a' if secrets.key == 'b' else 'c' }}",
        "{% for s in secrets %}{% endfor %}",
        "{{ secrets.key | default('x') }}",
    ],
)
def test_nothing_can_be_done_with_a_secret(source: str) -> None:
    with pytest.raises(BadToolTemplate, match="by itself"):
        compile_template(source, Into.TEXT)
