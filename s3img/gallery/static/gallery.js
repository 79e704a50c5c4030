// What the gallery does better with a script; every page works without. No library, no inline code (CSP).
"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const words = JSON.parse(document.getElementById("words")?.textContent || "{}");
  const live = document.getElementById("live");
  const say = text => { if (live) live.textContent = text; };
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];

  // Where there is room, what narrows a search stands open.
  if (matchMedia("(min-width: 60rem)").matches) all("form.filters details").forEach(one => { one.open = true; });

  // Selecting: a count, ranges with Shift, all of a page.
  const boxes = all('.card input[type="checkbox"]');
  const count = document.getElementById("count");
  const acts = all(".bar button[data-needs-selection]");
  const every = document.getElementById("all"); // all matches of a search, also those of other pages
  const update = () => {
    const number = boxes.filter(box => box.checked).length;
    if (count) count.textContent = (words.selected || "").replace("{number}", number);
    acts.forEach(button => { button.disabled = !number && !every?.checked; });
  };
  every?.addEventListener("change", update);
  let last = -1;
  boxes.forEach((box, index) => box.addEventListener("click", event => {
    if (event.shiftKey && last >= 0) {
      const [from, to] = [Math.min(last, index), Math.max(last, index)];
      boxes.slice(from, to + 1).forEach(other => { other.checked = box.checked; });
    }
    last = index;
    update();
  }));
  const selectAll = () => {
    const on = boxes.some(box => !box.checked);
    boxes.forEach(box => { box.checked = on; });
    update();
  };
  document.getElementById("select-all")?.addEventListener("click", selectAll);
  window.addEventListener("pageshow", update); // browsers bring boxes back as they were
  update();

  // Copying links.
  all("button[data-copy]").forEach(button => button.addEventListener("click", async () => {
    const field = button.parentElement.querySelector("input, textarea");
    try { await navigator.clipboard.writeText(field.value); } catch { field.select(); document.execCommand("copy"); }
    say(words.copied);
    button.textContent = words.copied;
    setTimeout(() => { button.textContent = words.copy; }, 2000);
  }));

  // How many objects lie in each folder: counted when the page is there, so that it need not wait.
  const counted = document.querySelector(".folders[data-counts]");
  if (counted) fetch(counted.dataset.counts, { headers: { Accept: "application/json" } })
    .then(answer => answer.ok ? answer.json() : {})
    .then(({ counts = {} }) => all("small", counted).forEach(place => {
      place.textContent = counts[place.dataset.folder] ?? "";
    }))
    .catch(() => { /* a page without counts is a page as well */ });

  // Keyboard.
  const help = document.getElementById("help");
  document.getElementById("open-help")?.addEventListener("click", () => help.showModal());
  const useKeys = document.getElementById("use-keys");
  try { useKeys.checked = localStorage.getItem("s3img-keys") !== "off"; } catch { /* a browser may keep nothing */ }
  useKeys.addEventListener("change", () => {
    try { localStorage.setItem("s3img-keys", useKeys.checked ? "on" : "off"); } catch { /* then for this page only */ }
  });
  const links = all(".card > a");
  const go = step => {
    if (!links.length) return;
    const at = links.indexOf(document.activeElement);
    links[at < 0 ? 0 : Math.max(0, Math.min(links.length - 1, at + step))].focus();
  };
  document.addEventListener("keydown", event => {
    if (!useKeys.checked || event.ctrlKey || event.metaKey || event.altKey || help?.open) return;
    if (event.target.matches('input:not([type="checkbox"]), select, textarea')) return;
    const box = event.target.closest(".card")?.querySelector("input");
    const keys = {
      "?": () => help?.showModal(),
      "/": () => document.querySelector('input[type="search"]')?.focus(),
      j: () => go(1), k: () => go(-1), ArrowRight: () => go(1), ArrowLeft: () => go(-1),
      x: () => box?.click(), a: selectAll,
      Delete: () => document.querySelector('.bar button[value="remove"]:not(:disabled)')?.focus(),
    };
    if (Object.hasOwn(keys, event.key)) { event.preventDefault(); keys[event.key](); }
  });

  // Uploading: a queue of one request each, with progress, cancel and another try.
  const form = document.querySelector(".upload form");
  if (!form) return;
  const queue = document.getElementById("queue");
  const waiting = [];
  let busy = 0, stored = 0;
  const line = file => {
    const item = document.createElement("li");
    const name = document.createElement("span");
    const bar = document.createElement("progress");
    const state = document.createElement("span");
    const button = document.createElement("button");
    name.textContent = file.name || "image";
    bar.max = 1; bar.value = 0;
    bar.setAttribute("aria-label", name.textContent);
    button.type = "button"; button.className = "plain";
    item.append(name, bar, state, button);
    queue.append(item);
    return { item, name, bar, state, button };
  };
  const enqueue = (file, row = line(file)) => {
    const job = { file, row, request: null, ended: false };
    row.state.textContent = words.waiting;
    row.button.textContent = words.cancel;
    row.button.onclick = () => {
      const at = waiting.indexOf(job);
      if (at >= 0) { waiting.splice(at, 1); row.item.remove(); } else job.request?.abort();
    };
    waiting.push(job);
    next();
  };
  const finish = (job, ok, text, url) => {
    busy--;
    job.row.state.textContent = text;
    job.row.bar.value = ok ? 1 : 0;
    say(`${job.row.name.textContent}: ${text}`);
    if (ok) {
      stored++;
      const link = document.createElement("a");
      link.href = url; link.textContent = job.row.name.textContent;
      job.row.name.replaceChildren(link);
      job.row.button.remove();
    } else {
      job.row.button.textContent = words.retry;
      job.row.button.onclick = () => enqueue(job.file, job.row);
    }
    next();
  };
  // One request: with progress, and with a way to end it. Resolves with {status, answer}, also after a failure.
  const send = (job, url, data, method = "POST", headers = { Accept: "application/json" }) => new Promise(resolve => {
    const request = job.request = new XMLHttpRequest();
    request.upload.onprogress = event => { if (event.lengthComputable) job.row.bar.value = event.loaded / event.total; };
    request.onloadend = () => {
      let answer = {};
      try { answer = JSON.parse(request.responseText); } catch { /* a failure says it by its status */ }
      resolve({ status: job.ended ? 0 : request.status, answer });
    };
    request.onabort = () => { job.ended = true; };
    request.open(method, url);
    Object.entries(headers).forEach(([name, value]) => request.setRequestHeader(name, value));
    request.send(data);
  });
  const fields = extra => {
    const data = new FormData(form);
    data.delete("files");
    Object.entries(extra).forEach(([name, value]) => data.append(name, value));
    return data;
  };
  // A large file goes straight to the bucket where that was proved to work, and is checked by the server afterwards.
  const LARGE = 8e6;
  const straight = async job => {
    const name = job.file.name || "image.png";
    const begun = await send(job, form.dataset.direct, fields({ name, size: job.file.size }));
    const direct = begun.answer.direct;
    if (begun.status !== 200) return begun;
    if (!direct) return null;
    const isPut = direct.method === "PUT";
    const data = new FormData();
    Object.entries(direct.fields).forEach(([field, value]) => data.append(field, value));
    data.append("file", job.file);
    const sent = await send(job, direct.url, isPut ? job.file : data, direct.method, isPut ? direct.fields : {});
    if (job.ended) return sent;
    if (sent.status < 200 || sent.status >= 300) return null;
    return send(job, form.dataset.finish, fields({ name, staged: direct.staged }));
  };
  const work = async job => {
    let found = null;
    if (form.dataset.direct && job.file.size >= LARGE) found = await straight(job);
    if (!found) {
      const data = fields({});
      data.append("files", job.file, job.file.name || "image.png");
      found = await send(job, form.action, data);
    }
    const one = found.answer.results?.[0];
    if (one?.ok) finish(job, true, words.stored, one.page);
    else finish(job, false, one?.message || found.answer.message || words.failed);
  };
  const next = () => {
    while (busy < 3 && waiting.length) {
      const job = waiting.shift();
      busy++;
      job.row.state.textContent = words.sending;
      work(job);
    }
  };
  // What a file would be called, while its folder, template and format are chosen.
  const preview = document.getElementById("key-preview");
  let asked = 0;
  const showKey = () => {
    const mine = ++asked;
    setTimeout(async () => {
      if (mine !== asked) return;
      const query = new URLSearchParams({ name: form.querySelector('input[type="file"]').files[0]?.name || "photo.jpg" });
      for (const name of ["folder", "template", "max_side", "convert"]) query.set(name, form.elements[name].value);
      const answer = await fetch(`${form.dataset.key}?${query}`, { headers: { Accept: "application/json" } }).then(
        found => found.json()).catch(() => ({}));
      if (mine === asked && preview) {
        preview.textContent = answer.key
          ? words.key_preview.replace("{name}", () => query.get("name")).replace("{key}", () => answer.key)
          : answer.message || "";
      }
    }, 200);
  };
  form.addEventListener("input", showKey);
  form.addEventListener("submit", event => {
    event.preventDefault();
    const field = form.querySelector('input[type="file"]');
    [...field.files].forEach(file => enqueue(file));
    field.value = "";
  });
  document.addEventListener("paste", event => {
    const files = [...(event.clipboardData?.files || [])];
    if (files.length) { event.preventDefault(); files.forEach(file => enqueue(file)); }
  });
  let depth = 0;
  const carries = event => [...(event.dataTransfer?.types || [])].includes("Files");
  document.addEventListener("dragenter", event => { if (carries(event)) { depth++; root.classList.add("dropping"); } });
  document.addEventListener("dragleave", event => { if (carries(event) && --depth <= 0) root.classList.remove("dropping"); });
  document.addEventListener("dragover", event => { if (carries(event)) event.preventDefault(); });
  document.addEventListener("drop", event => {
    depth = 0;
    root.classList.remove("dropping");
    if (!carries(event)) return;
    event.preventDefault();
    [...event.dataTransfer.files].forEach(file => enqueue(file));
  });
  window.addEventListener("beforeunload", event => { if (busy || waiting.length) event.preventDefault(); });
})();
