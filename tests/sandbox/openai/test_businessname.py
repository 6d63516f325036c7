"""How businesses begin to describe themselves."""

import pytest

from sandbox.openai import businessname


@pytest.mark.parametrize(
    ("described", "name"),
    [
        ("We are Lakeside Dental, a practice in Springfield.", "Lakeside Dental"),
        ("We're Lakeside Dental. We are open weekdays.", "Lakeside Dental"),
        ("We’re the Lakeside Dental Group and book visits.", "Lakeside Dental Group"),
        ("This is Lakeside Dental.", "Lakeside Dental"),
        ("Hi, this is Ana from Lakeside Dental.", "Lakeside Dental"),
        ("I run Lakeside Dental on Main Street.", "Lakeside Dental"),
        ("My name is Ana Ruiz, I own Lakeside Dental.", "Lakeside Dental"),
        ("Our practice is called Lakeside Dental.", "Lakeside Dental"),
        ("Our clinic is Lakeside Dental; we take walk-ins.", "Lakeside Dental"),
        ("The name of the practice is Lakeside Dental.", "Lakeside Dental"),
        ("Lakeside Dental is a practice.", "Lakeside Dental"),
        ("Lakeside Dental, open 8 to 5.", "Lakeside Dental"),
        ("Lakeside has two dentists.", "Lakeside"),
        ("Welcome to Lakeside Dental!", "Lakeside Dental"),
        ("You are the receptionist for Smith & Sons Plumbing.", "Smith & Sons Plumbing"),
        ("We are Bank of the West, with two offices.", "Bank of the West"),
        ("We are Dr. Kim Dentistry.", "Dr. Kim Dentistry"),
        ("Somos Clínica Sonrisa, en Madrid.", "Clínica Sonrisa"),
        ("We are a dentist, open weekdays 8 to 5.", ""),
        ("We have three dentists. Monday, we open at 8.", ""),
        ("Please answer the phone for a small garage.", ""),
        ("I run a salon.", ""),
    ],
)
def test_a_name_is_read_where_it_is_sure(described: str, name: str) -> None:
    assert businessname.read(described) == name
