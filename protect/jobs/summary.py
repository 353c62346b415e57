"""What a run did, or would do, in a few lines."""

from collections.abc import Sequence
from typing import Any

from protect.jobs.plan import Plan

LISTED = 20  # lines of one kind


def summary(plan: Plan, results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Counts and distortion over all shards, with the same as `text`."""
    count, protected = sum(r["count"] for r in results), sum(r["protected"] for r in results)
    errors = [{"shard": result["shard"], **error} for result in results for error in result["errors"]]
    total = {
        "shards": len(results),
        "count": count,
        "protected": protected,
        "failed_to_protect": count - protected,
        "broken_shards": sum(not error["key"] for error in errors),
        "unread": list(plan.unread),
        "triggers_cut": sum(error["reason"].startswith("trigger cut") for error in errors),
        "linf": max((r["linf"] for r in results if r["linf"] is not None), default=None),
        "psnr": _weighted(results, "psnr"),
        "ssim": _weighted(results, "ssim"),
        "psnr_clean_reencode": _weighted(results, "psnr_clean_reencode"),
        "ssim_clean_reencode": _weighted(results, "ssim_clean_reencode"),
        "trigger_survival": _weighted(results, "trigger_survival"),
        "errors": errors,
        "leaks": [f"{result['shard']} {leak}" for result in results for leak in result["leaks"]],
        "notes": [f"{result['shard']}: {note}" for result in results for note in result["notes"]],
        "out": str(plan.out),
    }
    return total | {"text": _text(total, plan)}


def counted(count: int, thing: str) -> str:
    return f"1 {thing}" if count == 1 else f"{count} {thing}s"


def _weighted(results: Sequence[dict[str, Any]], name: str) -> float | None:
    known = [(r["protected"], r[name]) for r in results if r[name] is not None and r["protected"]]
    weight = sum(n for n, _ in known)
    return round(sum(n * value for n, value in known) / weight, 4) if weight else None


def _text(total: dict[str, Any], plan: Plan) -> str:
    where = f"{counted(total['shards'], 'shard')}: {total['out']}"
    lines = [
        f"{counted(len(total['leaks']), 'leak')} of clean material, do not publish: {leak}"
        for leak in total["leaks"][:1]
    ]
    lines.append(f"{total['protected']} of {total['count']} pairs protected in {where}")
    if total["protected"]:
        psnr = "infinite" if total["psnr"] is None else f"{total['psnr']:.1f} dB"
        lines.append(f"distortion: L-infinity {total['linf']}, PSNR {psnr}, SSIM {total['ssim']:.4f}")
        if total["psnr_clean_reencode"] is not None:
            lines.append(
                f"a clean re-encode alone: PSNR {total['psnr_clean_reencode']:.1f} dB, "
                f"SSIM {total['ssim_clean_reencode']:.4f}"
            )
        kept = total["trigger_survival"]
        lines.append("captions: untouched" if kept is None else f"trigger words surviving: {100 * kept:.1f} %")
    what = {"keep": "passed through unchanged", "skip": "left out", "fail": "refused"}[plan.publish.on_error]
    failed = total["failed_to_protect"]
    if failed:
        lines.append(
            f"{counted(failed, 'sample')} could not be protected and {'was' if failed == 1 else 'were'} {what}:"
        )
    lines += _listed([f"{e['shard']} {e['key']}: {e['reason']}" for e in total["errors"] if e["key"]])
    if total["broken_shards"]:
        lines.append("shards that could not be read to their end, or written:")
    lines += _listed([e["reason"] for e in total["errors"] if not e["key"]])
    if total["unread"]:
        lines.append("archives of a kind that is not read; unpack them and protect them too:")
    lines += _listed(total["unread"])
    lines += total["notes"][:LISTED]
    lines.append(f"never publish {plan.private}: it undoes the protection")
    return "\n".join(lines)


def _listed(lines: list[str]) -> list[str]:
    more = [f"  ... and {len(lines) - LISTED} more, in the _stats.json files"] if len(lines) > LISTED else []
    return [*(f"  {line}" for line in lines[:LISTED]), *more]
