"""Scores of outputs in words."""

from __future__ import annotations

from onnx2genn.evaluate.result import Evaluation, Score


def quantity(value: float) -> str:
    """Write a large number with a prefix."""
    for factor, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= factor:
            return f"{value / factor:.3g}{unit}"
    return f"{value:.3g}"


def span(low: float, high: float) -> str:
    """Write a range, or the one value that it is."""
    return f"{low:.3g}" if low == high else f"{low:.3g} .. {high:.3g}"


def percent(share: float | None) -> str:
    """Write a share as a percentage; a dash for None."""
    return "-" if share is None else f"{100 * share:.2f} %"


def written(score: Score, value: float | None) -> str:
    """Write a value of the metric; a dash for None."""
    if value is None:
        return "-"
    if score.metric == "correlation":
        return f"{value:.5f}"
    return f"{value:.4g}" if score.units else percent(value)


def agreement(score: Score) -> str:
    """Name what is found where the ANN's answers are those wanted."""
    if score.is_accuracy:
        return "agreement"
    return score.share_title if score.more else "closeness"


def rows(score: Score) -> dict[str, str]:
    """List what is to say of one output, by what it is called."""
    found = {}
    if score.snn is not None:
        found = {
            f"ANN {score.title}": written(score, score.ann),
            "forecast": written(score, score.forecast),
            f"SNN {score.title}": written(score, score.snn),
        }
    elif score.is_accuracy:
        found = {f"{name}": "-" for name in ("ANN accuracy", "forecast", "SNN accuracy")}
    if score.is_share:
        found[f"{agreement(score)} with the ANN"] = written(score, score.to_ann)
        found["error of the logits"] = f"{100 * score.relative_error:.2g} % of their spread"
        return found
    if score.metric not in ("nrmse", "rmse", "correlation"):
        found[f"{score.title} against the ANN"] = written(score, score.to_ann)
    if score.correlation is not None:
        found["correlation with the ANN"] = f"{score.correlation:.5f}"
    found["error against the ANN"] = (
        f"{score.error:.3g} (root mean square), {100 * score.relative_error:.2g} % of the spread"
    )
    return found


def all_rows(evaluation: Evaluation) -> dict[str, str]:
    """List what is to say of all outputs; of several, with the name of the output before it."""
    if len(evaluation.scores) == 1:
        return rows(evaluation.score)
    return {
        f"{score.output}: {name}": value
        for score in evaluation.scores
        for name, value in rows(score).items()
        if value != "-"
    }


def verdict(evaluation: Evaluation) -> str:
    """Say in a sentence or two how the spiking network does, by its first output."""
    score, samples = evaluation.score, f"{evaluation.samples:,} samples"
    others = len(evaluation.scores) - 1
    end = " The other outputs are below." if others else ""
    if not score.is_share:
        correlation = "" if score.correlation is None else f"correlation {score.correlation:.4f}, "
        found = (
            f"The spiking network gives the values of the ANN on {samples} with {correlation}"
            f"an error of {percent(score.relative_error)} of their spread."
        )
        if score.snn is not None:
            found += (
                f" Its {score.title} is {written(score, score.snn)}, that of the ANN "
                f"{written(score, score.ann)}."
            )
        return found + end
    agrees = {
        "accuracy": f"chooses the class of the ANN on {percent(score.to_ann)} of",
    }.get(score.metric, f"reaches an {score.title} with the ANN of {percent(score.to_ann)} on")
    if score.task == "labels" or len(score.shape) > 1:
        agrees = agrees.replace("chooses the class of", "gives the answers of")
    if score.ann is None or score.snn is None:
        return (
            f"The spiking network {agrees} {samples}. Without labels it is not known how many of "
            f"them are right.{end}"
        )
    loss = score.ann - score.snn
    if abs(loss) < _LEAST_LOSS:
        how = f"keeps the {score.title} of the ANN"
    elif loss < 0:
        how = f"is {-100 * loss:.2f} points better than the ANN"
    else:
        how = f"loses {100 * loss:.2f} points of the ANN's {score.title}"
    found = (
        f"The spiking network {how}: {percent(score.snn)} against {percent(score.ann)} on "
        f"{samples}. It {agrees} them."
    )
    if evaluation.near_chance:
        found += " The ANN itself is near chance, so this says little."
    return found + end


_LEAST_LOSS = 0.0005
"""Less than this is not seen in a percentage of one digit."""
