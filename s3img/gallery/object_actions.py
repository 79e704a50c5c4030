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
from s3img.gallery.folder_page import MatchSearch
from s3img.gallery.html_builder import element, hidden, table
from s3img.gallery.page_layout import folder_name
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
    from s3img.gallery.html_builder import Child
    from s3img.manage import Move

MOST_CHANGED: Final = 1000  # objects that one request changes; a form that means more goes on behind them
CHANGE_SECONDS: Final = 10.0  # after which a request begins no further objects
CHUNK: Final = 50  # objects between two looks at the clock
PLANNERS: Final = 16  # objects that are looked up at a time before they move
MOST_NAMED: Final = 20  # objects that are named before all matches of a search are changed


class ChangeOutcome(NamedTuple):
    """The result of each object: what was done (its new key) and what was not, and why; empty for nothing to do."""

    done: list[str]
    failed: list[tuple[str, str]]


def folder_of(text: str) -> str:
    """Return what a person typed as a folder: with one slash at its end, none at its beginning, "" for the top."""
    return f"{text.strip().strip('/')}/" if text.strip().strip("/") else ""


def into(folder: str, keys: Iterable[str]) -> list[tuple[str, str]]:
    """Return each key with the one that its object has in a folder."""
    return [(key, folder + key.rpartition("/")[2]) for key in keys]


def targets_of(form: MultiDict[str, str]) -> list[str]:
    """Return the keys that a form would have objects moved or copied to: they need permission like the old ones."""
    if new := form.get("new"):
        return [new]
    return [new for _, new in into(folder_of(form["target"]), form.getlist("key"))] if "target" in form else []


def move_selected(visit: Visit) -> Response:
    """Move the chosen objects, or all matches, into a folder."""
    target = folder_of(visit.form.get("target", ""))
    return changed(visit, "rename", lambda keys: moved(visit, into(target, keys)), "move_matches", target)


def copy_selected(visit: Visit) -> Response:
    """Copy the chosen objects, or all matches, into a folder; what has the same bytes there counts as copied."""
    target = folder_of(visit.form.get("target", ""))
    return changed(visit, "view", lambda keys: copied(visit, into(target, keys)), "copy_matches", target)


def remove_selected(visit: Visit) -> Response:
    """Move the chosen objects, or all matches, to the trash."""
    return changed(visit, "delete", lambda keys: removed(visit, keys), "remove_matches")


def move_folder(visit: Visit) -> Response:
    """Move everything below a folder to another one, if its name was typed; folders below it stay as they are."""
    folder, target = visit.form.get("folder", ""), folder_of(visit.form.get("target", ""))
    if fault := visit.words("folder_inside") if target.startswith(folder) else key_fault(f"{target}x"):
        return nothing_done(visit, target, fault, folder)

    def change(keys: Sequence[str]) -> ChangeOutcome:
        return moved(visit, [(key, target + key.removeprefix(folder)) for key in keys])

    return whole_folder(visit, "rename", change)


def remove_folder(visit: Visit) -> Response:
    """Move everything below a folder to the trash, if its name was typed and each object may go."""
    return whole_folder(visit, "delete", lambda keys: removed(visit, keys))


def links_of_selected(visit: Visit) -> Response:
    """Show the addresses of the chosen objects, or of all matches, one a line, in the form that was chosen."""
    words, layout, config = visit.words, visit.layout, visit.gallery.config
    form, prefix = visit.form.get("form", "url"), visit.form.get("prefix", "")
    form = form if form in {*FORMS, *config.link_templates} else "url"
    keys, after = visit.form.getlist("key"), ""
    if visit.form.get("all"):
        query = SearchQuery.of(visit.form)
        search = matches(visit, query, query.wanted, "view")
        keys = [info.key for info in islice(search, MOST_CHANGED)]
        after = "" if search.is_whole and len(keys) < MOST_CHANGED else search.last
    template = config.link_templates.get(form, form)
    links = (PictureLink(url=object_url(config.base_url, key), key=key, name=key.rpartition("/")[2]) for key in keys)
    text = "\n".join(link.text(template) for link in links)
    return layout.page(
        words("links"),
        layout.crumbs(prefix, words("links")),
        element("h1", words("links")),
        layout.copy_area(words("shown", number=len(keys)), text),
        go_on(visit, after) if after else None,
        layout.button_link("back", "/", prefix=prefix),
    )


def rename_one(visit: Visit) -> Response:
    """Give an object another key; without a failure its new page is shown."""
    key, new = visit.form.get("key", ""), visit.form.get("new", "")
    folder = key.rpartition("/")[0] + "/" if "/" in key else ""
    if fault := key_fault(new):
        return nothing_done(visit, key, fault, folder, 409)
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
    visit: Visit, action: Action, change: Callable[[Sequence[str]], ChangeOutcome], question: str, target: str = ""
) -> Response:
    """Change the objects that a form names, or ask whether all matches are meant, or go through these."""
    if not visit.form.get("all"):
        outcome = change(visit.form.getlist("key"))
        visit.audit("copy" if action == "view" else action, outcome.done, failed=len(outcome.failed))
        return outcome_page(visit, outcome, visit.form.get("prefix", ""))
    query = SearchQuery.of(visit.form)
    if not query.is_narrowed:  # all of a folder is changed by its own form, where its name has to be typed
        return nothing_done(visit, query.prefix, visit.words("all_narrow"), query.prefix)
    # What is not seen is not counted, and what may not be changed would only fail.
    search = matches(visit, query, query.wanted, "view", action)
    if visit.form.get("confirmed"):
        return worked_through(visit, action, search, change, query.prefix, target)
    first: list[str] = []
    count = size = 0
    for info in search:
        count, size = count + 1, size + info.size
        if count <= MOST_NAMED:
            first.append(info.key)
    number = f"{count:,}" if search.is_whole else f"\u2265 {count:,}"
    words, layout = visit.words, visit.layout
    text = words(question, number=number, size=size_text(size), folder=target or words("whole_bucket"))
    back = layout.button_link("back", "/", prefix=query.prefix)
    form = layout.form(
        visit.request.path,
        *kept_fields(visit),
        hidden("confirmed", "1"),
        element("button", words("yes_all"), class_="danger" if action == "delete" else None),
        back,
        class_="row",
    )
    more = f"{count - len(first):,}"
    return layout.page(
        text,
        layout.crumbs(query.prefix, words("all_matches")),
        element("h1", text),
        element("ul", *(element("li", key) for key in first), class_="names"),
        element("p", words("and_more", number=more), class_="note") if count > len(first) else None,
        form if count else back,
    )


def whole_folder(visit: Visit, action: Action, change: Callable[[Sequence[str]], ChangeOutcome]) -> Response:
    """Go through everything below the folder of a form, if the folder's name was typed."""
    folder, typed = visit.form.get("folder", ""), visit.form.get("confirm", "")
    if not folder.endswith("/") or folder_name(folder) not in {typed, typed.strip()}:
        return nothing_done(visit, folder, visit.words("confirm_wrong"), folder)
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
    # What lies in the target already stays: a search would find again what it has just moved there.
    waiting = (info.key for info in search if not target or info.key.rpartition("/")[0] + "/" != target)
    after = ""
    try:
        while not is_over:
            chunk = [*islice(waiting, min(CHUNK, MOST_CHANGED - number))]
            if chunk:
                done = change(chunk)
                outcome.done.extend(done.done)
                outcome.failed.extend(done.failed)
            number += len(chunk)
            is_over = not chunk or number >= MOST_CHANGED or time.monotonic() > until
            after = "" if not chunk and search.is_whole else search.last
    finally:  # a listing may fail after much was done
        visit.audit("copy" if action == "view" else action, outcome.done, failed=len(outcome.failed))
    return outcome_page(visit, outcome, prefix, more=go_on(visit, after) if after else None)


def kept_fields(visit: Visit, **others: str) -> Iterator[Markup]:
    """Yield the fields of a form as hidden ones, with other values for some."""
    fields = {name: visit.form.get(name, "") for name in visit.form if name != "token"}
    for name, value in {**fields, **others}.items():
        if value:
            yield hidden(name, value)


def go_on(visit: Visit, after: str) -> Markup:
    """Return the form that goes on behind the last object."""
    words = visit.words
    return visit.layout.form(
        visit.request.path,
        *kept_fields(visit, after=after),
        element("p", words("more_follow"), class_="note"),
        element("button", words("go_on_rest")),
        class_="row",
    )


def nothing_done(visit: Visit, name: str, why: str, prefix: str, status: int = 400) -> Response:
    """Say why nothing became of what a form asked for."""
    return outcome_page(visit, ChangeOutcome([], [(name, why)]), prefix, status)


def outcome_page(
    visit: Visit, outcome: ChangeOutcome, prefix: str, status: int = 0, *, more: Markup | None = None
) -> Response:
    """Show the result of each object: what was done, with its address where it can be seen, and what was not."""
    words, layout = visit.words, visit.layout
    is_gone = visit.request.path in {"/remove", "/remove-folder"}
    rows: list[tuple[Child, ...]] = [(words("failed"), name, why) for name, why in outcome.failed]
    rows += [
        (words("done"), key if is_gone else element("a", key, href=layout.url("/object", key=key)), "")
        for key in outcome.done
    ]
    summary = words("outcome", done=f"{len(outcome.done):,}", failed=f"{len(outcome.failed):,}")
    return layout.page(
        words("results"),
        element("h1", words("results")),
        element("p", summary, class_="note", role="status"),
        more,
        table(words("results"), rows),
        element("p", layout.button_link("back", "/", prefix=prefix), class_="pager"),
        status=status or (409 if outcome.failed and not outcome.done else 200),
    )


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
