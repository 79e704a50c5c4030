"""What is done with many objects: move, copy, link, remove, restore. Each object has a result of its own.

A form names its objects, or says that all matches of a search are meant, or all of a folder. Such a whole is first
shown with its number, then worked through in the order of keys, as far as one request may go; the page of results has
the form that goes on behind the last object.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from werkzeug.utils import redirect

from s3img.errors import S3ImgError
from s3img.gallery.folder_page import MatchSearch, count_matches
from s3img.gallery.html_builder import element
from s3img.gallery.page_layout import crumbs, html
from s3img.gallery.search_query import SearchQuery
from s3img.lock import read_lock
from s3img.manage import MovePlan, copy_objects, move, plan_move, remove, restore_from_trash
from s3img.manage.object_search import ObjectFilter
from s3img.manage.selection import KeyProblem, key_fault
from s3img.manage.sibling_variants import VARIANT_NAME
from s3img.pictures.link_forms import FORMS, PictureLink
from s3img.publish.result import size_text
from s3img.urls import object_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence, Set

    from markupsafe import Markup
    from werkzeug.datastructures import MultiDict
    from werkzeug.wrappers import Response

    from s3img.buckets import ObjectInfo
    from s3img.gallery.gallery_app import Action, Visit
    from s3img.manage import Move

MOST_CHANGED: Final = 1000
"""Objects that one request changes; a form that means more goes on behind them."""

CHANGE_SECONDS: Final = 10.0
"""After which a request begins no further objects."""

CHUNK: Final = 50
"""Objects between two looks at the clock."""

PLANNERS: Final = 16
"""Objects that are looked up at a time before they move."""


class ChangeOutcome(NamedTuple):
    """The result of each object: what was done (its new key) and what was not, and why; empty for nothing to do."""

    done: list[str]
    failed: list[tuple[str, str]]


def folder_of(text: str) -> str:
    """Return what a person typed as a folder: with one slash at its end, none at its beginning, "" for the top."""
    return f"{text.strip().strip('/')}/" if text.strip().strip("/") else ""


def targets_of(form: MultiDict[str, str]) -> list[str]:
    """Return the keys that a form would have objects moved or copied to: they need permission like the old ones."""
    if new := form.get("new"):
        return [new]
    if "target" not in form:
        return []
    folder = folder_of(form["target"])
    return [folder + key.rpartition("/")[2] for key in form.getlist("key")]


def move_selected(visit: Visit) -> Response:
    """Move the chosen objects, or all matches, into a folder."""
    target = folder_of(visit.form.get("target", ""))

    def change(keys: Sequence[str]) -> ChangeOutcome:
        return moved(visit, [(key, target + key.rpartition("/")[2]) for key in keys])

    return changed(visit, "rename", change, question="move_matches", target=target)


def copy_selected(visit: Visit) -> Response:
    """Copy the chosen objects, or all matches, into a folder; what has the same bytes there counts as copied."""
    target = folder_of(visit.form.get("target", ""))

    def change(keys: Sequence[str]) -> ChangeOutcome:
        return copied(visit, [(key, target + key.rpartition("/")[2]) for key in keys])

    return changed(visit, "view", change, question="copy_matches", target=target)


def remove_selected(visit: Visit) -> Response:
    """Move the chosen objects, or all matches, to the trash."""
    return changed(visit, "delete", lambda keys: removed(visit, keys), question="remove_matches")


def move_folder(visit: Visit) -> Response:
    """Move everything below a folder to another one, if its name was typed; folders below it stay as they are."""
    folder, target = visit.form.get("folder", ""), folder_of(visit.form.get("target", ""))
    if target.startswith(folder) or key_fault(f"{target}x"):
        return outcome_page(visit, ChangeOutcome([], [(target, visit.words("folder_inside"))]), folder, 400)

    def change(keys: Sequence[str]) -> ChangeOutcome:
        return moved(visit, [(key, target + key.removeprefix(folder)) for key in keys])

    return whole_folder(visit, "rename", change)


def remove_folder(visit: Visit) -> Response:
    """Move everything below a folder to the trash, if its name was typed and each object may go."""
    return whole_folder(visit, "delete", lambda keys: removed(visit, keys))


def links_of_selected(visit: Visit) -> Response:
    """Show the addresses of the chosen objects, or of all matches, one a line, in the form that was chosen."""
    words, layout, form = visit.words, visit.layout, visit.form.get("form", "url")
    form = form if form in {*FORMS, *visit.gallery.config.link_templates} else "url"
    keys, after = visit.form.getlist("key"), ""
    if visit.form.get("all"):
        query = SearchQuery.of(visit.form)
        search = matches(visit, query, query.wanted, "view")
        keys = [info.key for info in islice(search, MOST_CHANGED)]
        after = "" if search.is_whole and len(keys) < MOST_CHANGED else search.last
    template = visit.gallery.config.link_templates.get(form, form)
    base = visit.gallery.config.base_url
    lines = [
        PictureLink(url=object_url(base, key), key=key, name=key.rpartition("/")[2]).text(template) for key in keys
    ]
    content = [
        crumbs(layout, visit.form.get("prefix", ""), words("links")),
        element("h1", words("links")),
        element(
            "div",
            element("label", words("shown", number=len(lines)), element("textarea", "\n".join(lines), readonly=True)),
            element("button", words("copy"), type="button", class_="script", data_copy=True),
            class_="many",
        ),
        go_on(visit, after) if after else None,
        back_link(visit, visit.form.get("prefix", "")),
    ]
    return html(layout.page(words("links"), *content))


def rename_one(visit: Visit) -> Response:
    """Give an object another key; without a failure its new page is shown."""
    key, new = visit.form.get("key", ""), visit.form.get("new", "")
    folder = key.rpartition("/")[0] + "/" if "/" in key else ""
    if fault := key_fault(new):
        return outcome_page(visit, ChangeOutcome([], [(key, fault)]), "", 409)
    outcome = moved(visit, [(key, new)])
    visit.audit("rename", outcome.done, failed=len(outcome.failed))
    if not outcome.failed:
        return redirect(visit.layout.url("/object", key=new), 303)
    return outcome_page(visit, outcome, folder)


def restore_selected(visit: Visit) -> Response:
    """Put the chosen objects back from the trash."""
    result = restore_from_trash(visit.gallery.bucket, visit.form.getlist("key"), apply=True, literal=True)
    visit.audit("restore", result.done, failed=len(result.failed))
    return outcome_page(visit, ChangeOutcome([*result.done], [(one.key, one.message) for one in result.failed]), "")


def matches(visit: Visit, query: SearchQuery, wanted: ObjectFilter, *actions: Action) -> MatchSearch:
    """Return the search for all that is wanted below a folder and that the visitor may do these things with."""
    return MatchSearch(
        visit.gallery.bucket,
        query.prefix,
        wanted,
        visit.form.get("after", ""),
        allowed=lambda key: all(visit.may(action, key) for action in actions),
        seconds=CHANGE_SECONDS,
    )


def changed(
    visit: Visit, action: Action, change: Callable[[Sequence[str]], ChangeOutcome], *, question: str, target: str = ""
) -> Response:
    """Change the objects that a form names, or ask whether all matches are meant, or go through these."""
    if not visit.form.get("all"):
        outcome = change(visit.form.getlist("key"))
        visit.audit("copy" if action == "view" else action, outcome.done, failed=len(outcome.failed))
        return outcome_page(visit, outcome, visit.form.get("prefix", ""))
    query = SearchQuery.of(visit.form)
    if not query.is_narrowed:  # all of a folder is changed by its own form, where its name has to be typed
        return outcome_page(visit, ChangeOutcome([], [(query.prefix, visit.words("all_narrow"))]), query.prefix, 400)
    # What is not seen is not counted, and what may not be changed would only fail.
    search = matches(visit, query, query.wanted, "view", action)
    if visit.form.get("confirmed"):
        return worked_through(visit, action, search, change, query.prefix, target)
    found = count_matches(search)
    number = f"{found.number:,}" if found.is_whole else f"\u2265 {found.number:,}"
    words, layout = visit.words, visit.layout
    text = words(question, number=number, size=size_text(found.bytes), folder=target or words("whole_bucket"))
    form = layout.form(
        visit.layout.url(visit.request.path),
        *kept_fields(visit),
        element("input", type="hidden", name="confirmed", value="1"),
        element("button", words("yes_all"), class_="danger" if action == "delete" else None),
        back_link(visit, query.prefix),
        class_="row",
    )
    shown = element("ul", *(element("li", info.key) for info in found.first), class_="names")
    more = found.number - len(found.first)
    content = [
        crumbs(layout, query.prefix, words("all_matches")),
        element("h1", text),
        shown,
        element("p", words("and_more", number=f"{more:,}"), class_="note") if more else None,
        form if found.number else back_link(visit, query.prefix),
    ]
    return html(layout.page(text, *content))


def whole_folder(visit: Visit, action: Action, change: Callable[[Sequence[str]], ChangeOutcome]) -> Response:
    """Go through everything below the folder of a form, if the folder's name was typed."""
    folder = visit.form.get("folder", "")
    name = folder.rstrip("/").rpartition("/")[2]
    if not folder.endswith("/") or not name or visit.form.get("confirm", "").strip() != name:
        return outcome_page(visit, ChangeOutcome([], [(folder, visit.words("confirm_wrong"))]), folder, 400)
    # Each object that may not go has a result: nobody should think that all of the folder is gone.
    search = matches(visit, SearchQuery(prefix=folder), ObjectFilter())
    return worked_through(visit, action, search, change, "", "")


def worked_through(
    visit: Visit,
    action: Action,
    search: MatchSearch,
    change: Callable[[Sequence[str]], ChangeOutcome],
    prefix: str,
    target: str,
) -> Response:
    """Change what a search finds as far as one request may; the page of results goes on from there."""
    until = time.monotonic() + CHANGE_SECONDS
    outcome, number, is_over = ChangeOutcome([], []), 0, False
    found = iter(search)
    # What lies in the target already stays: a search would find again what it has just moved there.
    waiting = (info.key for info in found if not target or info.key.rpartition("/")[0] + "/" != target)
    after = ""
    while not is_over:
        chunk = [*islice(waiting, min(CHUNK, MOST_CHANGED - number))]
        if chunk:
            done = change(chunk)
            outcome.done.extend(done.done)
            outcome.failed.extend(done.failed)
        number += len(chunk)
        is_over = not chunk or number >= MOST_CHANGED or time.monotonic() > until
        after = "" if not chunk and search.is_whole else search.last
    visit.audit("copy" if action == "view" else action, outcome.done, failed=len(outcome.failed))
    return outcome_page(visit, outcome, prefix, more=go_on(visit, after) if after else None)


def kept_fields(visit: Visit, **others: str) -> Iterator[Markup]:
    """Yield the fields of a form as hidden ones, with other values for some."""
    fields = {name: visit.form.get(name, "") for name in visit.form if name != "token"}
    for name, value in {**fields, **others}.items():
        if value:
            yield element("input", type="hidden", name=name, value=value)


def go_on(visit: Visit, after: str) -> Markup:
    """Return the form that goes on behind the last object."""
    words = visit.words
    return visit.layout.form(
        visit.layout.url(visit.request.path),
        *kept_fields(visit, after=after),
        element("p", words("more_follow"), class_="note"),
        element("button", words("go_on_rest")),
        class_="row",
    )


def back_link(visit: Visit, prefix: str) -> Markup:
    """Return the way back to a folder."""
    return element("a", visit.words("back"), href=visit.layout.url("/", prefix=prefix), class_="button plain")


def outcome_page(
    visit: Visit, outcome: ChangeOutcome, prefix: str, status: int = 0, *, more: Markup | None = None
) -> Response:
    """Show the result of each object: what was done, with its address where it can be seen, and what was not."""
    words, layout = visit.words, visit.layout
    rows = [
        element("tr", element("td", words("failed")), element("td", name), element("td", why))
        for name, why in outcome.failed
    ]
    is_gone = visit.request.path in {"/remove", "/remove-folder"}
    for key in outcome.done:
        name = key if is_gone else element("a", key, href=layout.url("/object", key=key))
        rows.append(element("tr", element("td", words("done")), element("td", name), element("td")))
    summary = words("outcome", done=f"{len(outcome.done):,}", failed=f"{len(outcome.failed):,}")
    page = layout.page(
        words("results"),
        element("h1", words("results")),
        element("p", summary, class_="note", role="status"),
        more,
        element("table", element("tbody", *rows)),
        element("p", back_link(visit, prefix), class_="pager"),
    )
    return html(page, status or (409 if outcome.failed and not outcome.done else 200))


def moved(visit: Visit, pairs: Iterable[tuple[str, str]]) -> ChangeOutcome:
    """Move each object to its new key; one that can't be moved keeps none of the others from it."""
    bucket, lock = visit.gallery.bucket, visit.gallery.lock
    known = read_lock(lock, missing_ok=True) if lock else None
    outcome = ChangeOutcome([], [])
    wanted = [pair for pair in pairs if pair[0] != pair[1]]

    def planned(pair: tuple[str, str]) -> MovePlan:
        try:
            return plan_move(bucket, *pair, lock=known, force=True, literal=True)
        except S3ImgError as error:  # one that can't be looked up keeps none of the others from moving
            return MovePlan(problems=(KeyProblem(pair[0], error.reason, str(error)),))

    with ThreadPoolExecutor(PLANNERS, thread_name_prefix="s3img-move") as pool:
        plans = [*zip(wanted, pool.map(planned, wanted), strict=True)]
    moves: dict[str, Move] = {}
    objects: dict[str, ObjectInfo] = {}
    taken: set[str] = set()
    # Renderings go along with their originals, which therefore come first.
    for (old, new), plan in sorted(plans, key=lambda one: bool(VARIANT_NAME.search(one[0][0]))):
        if old in moves:
            continue
        if problem := obstacle(visit, plan, taken):
            outcome.failed.append((old, problem))
            continue
        moves |= {one.old: one for one in plan.moves}
        objects |= plan.objects
        taken |= {new, *(one.new for one in plan.moves)}
    result = move(bucket, MovePlan(tuple(moves.values()), objects=objects), apply=True, lock=known)
    outcome.done.extend(one.new for one in result.moved)
    outcome.failed.extend((problem.key, problem.message) for problem in result.failed)
    return outcome


def obstacle(visit: Visit, plan: MovePlan, taken: Set[str]) -> str:
    """Say what keeps a planned move from being made beside others, "" for nothing."""
    if plan.problems:
        return plan.problems[0].message
    # Renderings go along, and may lie where nothing may change.
    if not all(visit.may("rename", key) for one in plan.moves for key in (one.old, one.new)):
        return visit.words("denied")
    if twice := next((one.new for one in plan.moves if one.new in taken), ""):
        return visit.words("twice", key=twice)
    return ""


def copied(visit: Visit, pairs: Iterable[tuple[str, str]]) -> ChangeOutcome:
    """Copy each object to its new key, where nothing else is and the visitor may put something."""
    outcome = ChangeOutcome([], [])
    allowed = {}
    for old, new in pairs:
        if old == new:
            continue
        if visit.may("view", old) and visit.may("upload", new):
            allowed[old] = new
        else:
            outcome.failed.append((old, visit.words("denied")))
    result = copy_objects(visit.gallery.bucket, allowed)
    outcome.done.extend(one.new for one in result.copied)
    outcome.failed.extend((problem.key, problem.message) for problem in result.failed)
    return outcome


def removed(visit: Visit, keys: Sequence[str]) -> ChangeOutcome:
    """Move objects to the trash that the visitor may remove."""
    allowed = [key for key in keys if visit.may("delete", key)]
    result = remove(visit.gallery.bucket, allowed, apply=True, force=True, literal=True)
    denied = [KeyProblem(key, "denied", visit.words("denied")) for key in keys if key not in {*allowed}]
    return ChangeOutcome([*result.done], [(one.key, one.message) for one in (*result.failed, *denied)])
