"""How far a study is that is still running."""

from datetime import UTC, datetime

from reports.analysis.frames import Frames
from reports.document import duration

HOUR_S = 3600


def sentence(frames: Frames) -> str:
    """How many runs are done, the share of the work, and the time left; empty if the study is not running."""
    if not (facts := frames.study["progress"]):
        return ""
    done = int(frames.runs["status"].isin(("completed", "diverged")).sum())
    left = f", about {_about(facts['left_s'])} left" if facts["left_s"] else ""
    at = datetime.fromtimestamp(facts["at"], UTC)
    now = f" Now: {'; '.join(facts['running'])}." if facts["running"] else ""
    return (
        f"This study is still running: {done} of {len(frames.runs)} runs are done, {facts['done']:.0%} of the work"
        f"{left} ({at:%Y-%m-%d %H:%M} UTC).{now} Results may still change."
    )


def _about(seconds: float) -> str:
    return duration(seconds) if seconds >= HOUR_S else f"{max(1, round(seconds / 60))} min"
