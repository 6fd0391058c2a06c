from namesake.encoders import diagnose
from namesake.encoders.doctor import describe_package


def test_every_part_of_every_preset_is_found_or_missing_with_a_place_to_get_it() -> None:
    report = diagnose()
    assert report["torch"].startswith("2.")
    assert "thread" in report["cpu"]
    weights = {subject: state for subject, state in report.items() if "." in subject}
    assert len(weights) == 17
    for subject, state in weights.items():
        assert ": found, " in state or ": missing " in state, subject
        assert ": found, " in state or subject.startswith("mini.") or "https://" in state, subject


def test_optional_package__absent_is_no_failure() -> None:
    told = describe_package("no-such-package-of-namesake", "serve: pip install x")
    assert told == "not installed; for serve: pip install x"
    assert describe_package("numpy", "")[0].isdigit()
