// The emulator's page. Every view has an address behind the #, and everything that is shown comes from the routes that
// the command line asks, too. Text from outside is only ever a text node: nothing here parses markup.

const LONG = 100_000; // characters of a text that are shown before somebody asks for all
const MOST = 10_000; // rows of the list
const REFRESH = 2000; // milliseconds between two looks at what has no stream
const VIEWS = { requests: "Requests", functions: "Functions", schedules: "Schedules", connections: "Connections", clock: "Clock", faults: "Faults", recordings: "Recordings" };

const $ = (id) => document.getElementById(id);
const service = { name: "Emulator", stage: "", functions: [] };

// ---------------------------------------------------------------- elements and texts

/** An element with attributes and children; strings become text nodes, nothing becomes nothing. */
function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// Control characters, and those that hide or reorder the text around them.
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
const visible = (text) =>
  String(text).replace(HIDDEN, (char) => (char === "\r" ? "" : `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`));

const clockTime = (time) => new Date(time).toLocaleTimeString([], { hour12: false });
const took = (milliseconds) => (milliseconds < 1000 ? `${milliseconds.toFixed(1)} ms` : `${(milliseconds / 1000).toFixed(2)} s`);
const status = (code) => h("span", { class: "status", "data-class": String(code)[0] }, String(code));

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** A text in a box; of a long one the beginning, and a button for the rest. */
function box(text, label) {
  const shown = h("pre", { tabindex: "0", "aria-label": label }, visible(text.slice(0, LONG)));
  if (text.length <= LONG) return shown;
  const more = h("button", { type: "button" }, `Show all ${text.length.toLocaleString()} characters`);
  more.addEventListener("click", () => {
    shown.textContent = visible(text);
    more.remove();
  });
  return h("div", { class: "block" }, shown, h("div", {}, more));
}

function content(part, label) {
  if (!part.body) return h("p", { class: "meta" }, part.body_unread ? "The body was not read: the gateway answered before." : "No body.");
  return part.base64 ? [h("p", { class: "meta" }, "Not text, so in base64:"), box(part.body, label)] : box(pretty(part.body), label);
}

const pairs = (entries) => h("dl", { class: "pairs" }, entries.flatMap(([name, value]) => [h("dt", {}, visible(name)), h("dd", {}, visible(value))]));
const block = (title, ...children) => h("section", { class: "block" }, h("h3", {}, title), ...children);
const folded = (title, open, ...children) => h("details", { open }, h("summary", {}, title), ...children);
const button = (label, act, attributes = {}) => h("button", { type: "button", onclick: act, ...attributes }, label);

let noticeTimer = 0;
function notice(text) {
  $("notice").textContent = visible(text);
  $("notice").hidden = false;
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(() => ($("notice").hidden = true), 4000);
}

/** What an event handler does; what goes wrong is said. */
const safely = (act) => async (...given) => {
  try {
    return await act(...given);
  } catch (error) {
    return notice(error.message);
  }
};

async function copy(text, what) {
  await navigator.clipboard.writeText(text);
  notice(`Copied ${what}`);
}

// ---------------------------------------------------------------- the emulator

async function ask(path, { method = "GET", value, headers = {} } = {}) {
  const options = { method, headers: { ...headers } };
  if (value !== undefined) {
    options.body = JSON.stringify(value);
    options.headers["Content-Type"] = "application/json";
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The emulator does not answer. Is it running?");
  }
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.message || answer.errorMessage || `The emulator answered ${response.status}`);
  return answer;
}

// ---------------------------------------------------------------- addresses

/** `#/requests/12?status=5xx` as its view, the chosen thing and the parameters. */
function address() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [view, ...rest] = path.split("/");
  return { view: view in VIEWS ? view : "requests", chosen: decodeURIComponent(rest.join("/")), query: new URLSearchParams(query) };
}

function hash(view, chosen = "", query = new URLSearchParams()) {
  const text = String(query);
  return `#/${view}${chosen === "" ? "" : `/${encodeURIComponent(chosen)}`}${text ? `?${text}` : ""}`;
}

function go(target, { replace = false } = {}) {
  if (location.hash === target) return;
  if (replace) {
    history.replaceState(null, "", target);
    show();
  } else {
    location.hash = target;
  }
}

// ---------------------------------------------------------------- what each kind of copy says

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
const UNSAFE_IN_SHELL = /[\u0000-\u0008\u000b-\u001f\u007f]/;
const OWN_TO_A_CONNECTION = new Set(["host", "content-length", "connection", "accept-encoding", "transfer-encoding"]);

export function asCurl(one) {
  const base = `${location.protocol}//${location.hostname}:${one.port}`;
  const { body, base64, headers } = one.request;
  const parts = ["curl -i -g --path-as-is"];
  if (one.method === "HEAD") parts.push("-I");
  else if (one.method !== (body ? "POST" : "GET")) parts.push(`-X ${quoted(one.method)}`);
  for (const [name, value] of headers) {
    if (!OWN_TO_A_CONNECTION.has(name.toLowerCase())) parts.push(`-H ${quoted(value ? `${name}: ${value}` : `${name};`)}`);
  }
  const sent = headers.some(([name]) => name.toLowerCase() === "content-type");
  if (body && !sent) parts.push("-H 'Content-Type:'");
  const piped = body && (base64 || UNSAFE_IN_SHELL.test(body));
  if (body) parts.push(piped ? "--data-binary @-" : `--data-raw ${quoted(body)}`);
  parts.push(quoted(base + one.path));
  const command = parts.join(" \\\n  ");
  if (!piped) return command;
  return `printf %s ${quoted(base64 ? body : toBase64(body))} | base64 -d | ${command}`;
}

function toBase64(text) {
  let bytes = "";
  for (const byte of new TextEncoder().encode(text)) bytes += String.fromCharCode(byte);
  return btoa(bytes);
}

export const asInvoke = (one) => `python -m emulator invoke ${one.function} --data ${quoted(JSON.stringify(one.event))}`;

/** A JSON value as Python writes it: its strings and numbers are those of JSON. */
function python(value, indent = "") {
  const inner = `${indent}    `;
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "object") return JSON.stringify(value);
  if (Array.isArray(value)) {
    return value.length ? `[\n${value.map((one) => `${inner}${python(one, inner)},\n`).join("")}${indent}]` : "[]";
  }
  const entries = Object.entries(value);
  return entries.length ? `{\n${entries.map(([key, one]) => `${inner}${JSON.stringify(key)}: ${python(one, inner)},\n`).join("")}${indent}}` : "{}";
}

export function asTest(one) {
  const split = one.handler.lastIndexOf(".");
  const [module, name] = [one.handler.slice(0, split).replaceAll("/", "."), one.handler.slice(split + 1)];
  const title = `${one.method} ${one.route || one.path}`.toLowerCase().replace(/[^a-z0-9]+/g, "_").replace(/^(\w+?)_\1_/, "$1_").replace(/^_|_$/g, "");
  let keys = null;
  try {
    const body = JSON.parse(one.answer.body);
    if (body && typeof body === "object" && !Array.isArray(body)) keys = Object.keys(body).sort();
  } catch {
    // no JSON object: the status says enough
  }
  return [
    keys ? "import importlib\nimport json\n" : "import importlib\n",
    `EVENT = ${python(one.event)}\n`,
    "",
    `def test_${title}_answers_${one.status}() -> None:`,
    `    handler = getattr(importlib.import_module(${JSON.stringify(module)}), ${JSON.stringify(name)})`,
    "    answer = handler(EVENT, None)",
    `    assert answer["statusCode"] == ${one.status}`,
    keys ? `    assert sorted(json.loads(answer["body"])) == ${JSON.stringify(keys)}\n` : "",
  ].join("\n");
}

// ---------------------------------------------------------------- requests

const requests = {
  all: [], // as the filter of the emulator lets them through, the newest first
  shown: [], // in the order of the list
  last: 0,
  rows: new Map(), // the elements of the rows that are in sight, by id
  filter: "",
  chosen: null,
  secrets: false,
  list: null,
  detail: null,
  frame: 0,
  asked: 0,
};

const isError = (one) => one.status >= 400;
const rowHeight = () => parseInt(getComputedStyle(document.documentElement).getPropertyValue("--row"), 10);
const filters = (query) => new URLSearchParams(["function", "status", "text"].flatMap((name) => (query.get(name) ? [[name, query.get(name)]] : [])));

function matches(one, query) {
  const statuses = (query.get("status") || "").split(",").filter(Boolean).map((text) => text.replace("xx", ""));
  if (query.get("function") && one.function !== query.get("function")) return false;
  return !statuses.length || statuses.some((start) => String(one.status).startsWith(start));
}

function arrange(query) {
  const errorsFirst = query.get("first") === "errors";
  requests.shown = errorsFirst ? [...requests.all.filter(isError), ...requests.all.filter((one) => !isError(one))] : requests.all;
}

async function loadRequests(query) {
  const asked = ++requests.asked;
  const wanted = filters(query);
  wanted.set("limit", String(MOST));
  const found = await ask(`requests?${wanted}`);
  if (asked !== requests.asked) return;
  requests.all = found.requests;
  requests.last = found.last;
  arrange(query);
  draw();
}

let searching = 0;
/** New requests have come, the oldest first: those that the filter lets through go to the top of the list. */
function received(fresh) {
  const { view, query } = address();
  const newer = fresh.filter((one) => one.id > requests.last);
  if (!newer.length) return;
  if (query.get("text")) {
    // Only the emulator sees the bodies and the logs that the text may be in.
    clearTimeout(searching);
    searching = setTimeout(safely(() => loadRequests(address().query)), 500);
    return;
  }
  requests.last = newer.at(-1).id;
  const added = newer.filter((one) => matches(one, query)).reverse();
  if (!added.length) return;
  requests.all = [...added, ...requests.all].slice(0, MOST);
  arrange(query);
  if (view !== "requests" || !requests.list) return;
  const rows = requests.list;
  if (rows.scrollTop > 0 && query.get("first") !== "errors") rows.scrollTop += added.length * rowHeight(); // what is read stays in place
  draw();
}

const UUID = /([0-9a-f]{4})[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{8}([0-9a-f]{4})/gi;
const MIDDLE = 28; // characters of a UUID that a narrow list leaves out

/** A path whose UUIDs can be shortened by the style sheet. */
function shortened(path) {
  const parts = [];
  let from = 0;
  for (const found of path.matchAll(UUID)) {
    const start = found.index + found[1].length;
    parts.push(path.slice(from, start), h("span", { class: "uuid" }, h("span", {}, path.slice(start, start + MIDDLE))));
    from = start + MIDDLE;
  }
  return [...parts, path.slice(from)];
}

function row(one) {
  return h(
    "a",
    { class: "row", role: "option", tabindex: "-1", id: `row-${one.id}`, href: hash("requests", one.id, address().query), "data-id": one.id },
    h("span", { class: "when", title: one.time }, clockTime(one.time)),
    status(one.status),
    h("span", { class: "method" }, visible(one.method)),
    h("span", { class: "path", title: visible(one.path) }, shortened(visible(one.path))),
    h("span", { class: "function" }, visible(one.function || "–"), one.cold ? " · cold" : "", one.original ? ` · #${one.original} again` : ""),
    h("span", { class: "took" }, took(one.milliseconds)),
  );
}

/** Put the rows that are in sight where they belong; an element stays the same while its request is in sight. */
function draw() {
  cancelAnimationFrame(requests.frame);
  requests.frame = requestAnimationFrame(() => {
    const rows = requests.list;
    if (!rows || !rows.isConnected) return;
    const [height, { shown }] = [rowHeight(), requests];
    $("nothing").hidden = shown.length > 0;
    rows.hidden = shown.length === 0;
    rows.firstChild.style.height = `${shown.length * height}px`;
    const first = Math.max(0, Math.floor(rows.scrollTop / height) - 8);
    const end = Math.min(shown.length, Math.ceil((rows.scrollTop + rows.clientHeight) / height) + 8);
    const kept = new Map();
    for (let place = first; place < end; place++) {
      const one = shown[place];
      const element = requests.rows.get(one.id) || row(one);
      kept.set(one.id, element);
      element.style.top = `${place * height}px`;
      element.setAttribute("aria-posinset", place + 1);
      element.setAttribute("aria-setsize", shown.length);
      element.setAttribute("aria-selected", String(one.id) === requests.chosen);
    }
    for (const [id, element] of requests.rows) if (!kept.has(id)) element.remove();
    let next = null; // the document has them in the order of the list, and none moves that need not
    for (const element of [...kept.values()].reverse()) {
      if (!element.isConnected || element.nextSibling !== next) rows.insertBefore(element, next);
      next = element;
    }
    requests.rows = kept;
    const active = requests.chosen && $(`row-${requests.chosen}`);
    if (active) rows.setAttribute("aria-activedescendant", active.id);
    else rows.removeAttribute("aria-activedescendant");
    $("count").textContent = shown.length === 1 ? "1 request" : `${shown.length.toLocaleString()} requests`;
  });
}

function showRequests({ chosen, query }) {
  const filter = String(filters(query));
  if (!requests.list?.isConnected) {
    $("view").replaceChildren(requestsView(query));
    requests.rows = new Map();
  } else {
    for (const element of requests.rows.values()) element.href = hash("requests", element.dataset.id, query);
  }
  for (const name of ["text", "function", "status"]) {
    const control = $(`filter-${name}`);
    if (document.activeElement !== control) control.value = query.get(name) || "";
    if (control.value !== (query.get(name) || "") && control.tagName === "SELECT") {
      control.append(h("option", { value: query.get(name) }, visible(query.get(name))));
      control.value = query.get(name);
    }
  }
  $("filter-first").checked = query.get("first") === "errors";
  if (filter !== requests.filter || !requests.last) {
    requests.filter = filter;
    safely(loadRequests)(query);
  }
  arrange(query);
  if (chosen !== requests.chosen || !requests.detail.hasChildNodes()) {
    requests.chosen = chosen;
    requests.secrets = false;
    showRequest();
  }
  draw();
}

function requestsView(query) {
  const change = (name, value) => {
    const { chosen, query: now } = address();
    if (value) now.set(name, value);
    else now.delete(name);
    go(hash("requests", chosen, now), { replace: true });
  };
  let typing = 0;
  const typed = (event) => {
    clearTimeout(typing);
    typing = setTimeout(() => change("text", event.target.value), 200);
  };
  const select = (name, label, options) =>
    h("select", { id: `filter-${name}`, "aria-label": label, onchange: (event) => change(name, event.target.value) }, options);
  requests.list = h("div", { class: "rows", role: "listbox", tabindex: "0", "aria-label": "Requests", onscroll: draw, hidden: true }, h("div"));
  requests.detail = h("article", { class: "detail", tabindex: "-1", "aria-label": "One request" });
  return h(
    "div",
    { class: "split", id: "split" },
    h(
      "section",
      { class: "side" },
      h(
        "form",
        { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() },
        h("input", { type: "search", id: "filter-text", placeholder: "Path, body, log, session id", "aria-label": "Search", oninput: typed, value: query.get("text") }),
        select("function", "Function", [
          h("option", { value: "" }, "All functions"),
          service.functions.map((one) => h("option", { value: one.name }, visible(one.name))),
        ]),
        select("status", "Status", [
          h("option", { value: "" }, "Every status"),
          h("option", { value: "4xx,5xx" }, "Errors"),
          ["2xx", "3xx", "4xx", "5xx"].map((one) => h("option", { value: one }, one)),
        ]),
        h(
          "label",
          { class: "check" },
          h("input", { type: "checkbox", id: "filter-first", onchange: (event) => change("first", event.target.checked ? "errors" : "") }),
          "Errors first",
        ),
        h("span", { class: "count", id: "count" }),
      ),
      h(
        "div",
        { class: "body" },
        h("div", { class: "empty", id: "nothing", hidden: true }, h("h2", {}, "No request here yet"), h("p", {}, "Requests appear by themselves as they are answered. Send one:"), h("pre", {}, `curl ${location.origin}${firstPath()}`)),
        requests.list,
      ),
    ),
    requests.detail,
  );
}

function firstPath() {
  const routes = service.functions.flatMap((one) => one.routes).filter((one) => one.method === "GET" && !one.path.includes("{") && one.api === "httpApi");
  return routes.length && routes[0].path !== "*" ? visible(routes[0].path) : "/";
}

async function showRequest() {
  const { chosen } = requests;
  $("split").toggleAttribute("data-chosen", chosen !== "");
  requests.detail.hidden = chosen === "";
  if (chosen === "") return requests.detail.replaceChildren();
  let one;
  try {
    one = await ask(`requests/${encodeURIComponent(chosen)}${requests.secrets ? "?secrets=1" : ""}`);
  } catch (error) {
    if (chosen === requests.chosen) {
      requests.detail.replaceChildren(h("div", { class: "empty" }, h("h2", {}, `Request ${visible(chosen)}`), h("p", {}, visible(error.message)), back()));
    }
    return;
  }
  if (chosen === requests.chosen) {
    requests.detail.replaceChildren(...requestParts(one));
    requests.detail.scrollTop = 0;
  }
}

const back = () => button("Back to the list", () => go(hash("requests", "", address().query)), { class: "quiet" });

function requestParts(one) {
  const secrets = button(requests.secrets ? "Mask secrets" : "Show secrets", () => {
    requests.secrets = !requests.secrets;
    showRequest();
  }, { class: "quiet end", id: "secrets", "aria-pressed": requests.secrets, title: "Authorization, cookies and other secrets" });
  return [
    h(
      "header",
      {},
      h("div", { class: "meta" }, back(), h("span", {}, `#${one.id}`), h("time", { datetime: one.time, title: one.time }, new Date(one.time).toLocaleString()), secrets),
      h("h2", {}, `${visible(one.method)} ${visible(one.path)}`),
      h(
        "p",
        { class: "meta" },
        status(one.status),
        h("span", {}, took(one.milliseconds)),
        one.function && h("a", { href: hash("functions", one.function) }, visible(one.function)),
        one.cold && h("span", { class: "tag" }, "cold start"),
        one.memory && one.memory.used > 0 && h("span", {}, `${one.memory.used} of ${one.memory.limit} MB`),
        one.answer.headers.filter(([name]) => name === "emulator-fault").map(([, kinds]) => h("span", { class: "tag" }, `fault: ${visible(kinds)}`)),
        one.original && h("a", { href: hash("requests", one.original) }, `repeats #${one.original}`),
      ),
      h(
        "div",
        { class: "actions" },
        button("Replay", safely(() => resend(one)), { class: "main", id: "replay" }),
        button("Edit and send", () => edit(one), { id: "edit" }),
        h("span", { class: "gap" }),
        button("Copy as curl", safely(() => copy(asCurl(one), "the curl command"))),
        one.event && one.function && button("as invoke", safely(() => copy(asInvoke(one), "the command")), { title: "Copy as a command that calls the function alone" }),
        one.event && one.handler && button("as a test", safely(() => copy(asTest(one), "the test")), { title: "Copy as a test for pytest" }),
      ),
    ),
    failure(one),
    waterfall(one),
    authorizer(one.authorizer),
    block("Answer", content(one.answer, "Body of the answer"), folded(`Headers (${one.answer.headers.length})`, false, pairs(one.answer.headers))),
    block("Request", content(one.request, "Body of the request"), folded(`Headers (${one.request.headers.length})`, false, pairs(one.request.headers))),
    one.log && block("Log", box(one.log, "Log")),
    one.event && block("Event", folded(one.route ? `As the function received it, by ${visible(one.route)}` : "As the function received it", false, box(JSON.stringify(one.event, null, 2), "Event"))),
  ].filter(Boolean);
}

function failure(one) {
  if (!one.error && !one.note) return null;
  const error = one.error && typeof one.error === "object" ? one.error : { errorMessage: one.error || one.note };
  const trace = Array.isArray(error.stackTrace) && error.stackTrace.length ? error.stackTrace.join("") : "";
  return h(
    "section",
    { class: `block callout ${one.status < 400 ? "calm" : ""}` },
    h("strong", {}, visible([error.errorType, error.errorMessage].filter(Boolean).join(": "))),
    one.fault && h("p", { class: "meta" }, `The function ${{ raised: "raised this error", "timed out": "ran into its time limit", exited: "ended its process", throttled: "had no free environment" }[one.fault] || visible(one.fault)}.`),
    trace && folded("Stack trace", true, box(trace, "Stack trace")),
  );
}

function waterfall(one) {
  const total = Math.max(one.milliseconds, 0.001);
  const rows = one.spans.flatMap((span) => {
    const bar = h("span", { class: "bar", "data-name": span.name });
    bar.style.left = `${Math.min(99.5, (span.start / total) * 100)}%`;
    bar.style.width = `${Math.min(100, (span.milliseconds / total) * 100)}%`;
    return [h("span", {}, span.name), h("span", { class: "track" }, bar), h("span", { class: "took" }, took(span.milliseconds))];
  });
  return block("Where the time went", h("div", { class: "waterfall" }, rows));
}

function authorizer(said) {
  if (!said) return null;
  const values = Object.keys(said.values).length > 0;
  return block(
    "Authorizer",
    h("p", {}, h("strong", {}, visible(said.name)), said.allowed ? " let the request pass" : " refused the request", said.reason ? `: ${visible(said.reason)}` : "", said.principal ? ` (${visible(said.principal)})` : ""),
    values && box(JSON.stringify(said.values, null, 2), "What the authorizer said"),
  );
}

async function resend(one, changes) {
  const made = await ask(`requests/${one.id}/replay`, { method: "POST", value: changes });
  notice(`#${made.id} was answered with ${made.status} in ${took(made.milliseconds)}`);
  go(hash("requests", made.id, address().query));
}

function edit(one) {
  const field = (name, label, value, attributes = {}) => h("label", { class: "field" }, label, h("input", { name, value, spellcheck: "false", autocomplete: "off", required: true, ...attributes }));
  const area = (name, label, value, rows) => {
    const text = h("textarea", { name, rows, spellcheck: "false" });
    text.value = value;
    return h("label", { class: "field" }, label, text);
  };
  const wrong = h("p", { class: "wrong", role: "alert" });
  const headers = one.request.headers.filter(([name]) => !["content-length", "transfer-encoding"].includes(name.toLowerCase()));
  const body = one.request.base64 ? one.request.body : pretty(one.request.body);
  const send = async (event) => {
    event.preventDefault();
    const given = new FormData(event.target);
    const changes = { method: given.get("method"), path: given.get("path"), headers: headerLines(given.get("headers")) };
    if (given.get("body") !== body || one.request.body_unread) changes.body = given.get("body").replaceAll("\r\n", "\n");
    if (changes.body !== undefined) changes.base64 = one.request.base64;
    try {
      await resend(one, changes);
    } catch (error) {
      wrong.textContent = visible(error.message);
    }
  };
  const form = h(
    "form",
    { class: "form", id: "edit-form", onsubmit: send },
    h("div", { class: "line" }, field("method", "Method", one.method), field("path", "Path with its query", one.path)),
    area("headers", "Headers, one on each line; **** stays what it was", headers.map(([name, value]) => `${name}: ${value}`).join("\n"), Math.min(12, headers.length + 1)),
    area("body", one.request.base64 ? "Body, in base64" : "Body", body, Math.min(20, body.split("\n").length + 2)),
    wrong,
    h("div", { class: "actions" }, h("button", { class: "main" }, "Send"), button("Cancel", showRequest)),
  );
  requests.detail.replaceChildren(h("header", {}, h("h2", {}, `Edit #${one.id} and send it`)), form);
  form.elements.path.focus();
}

const headerLines = (text) =>
  text.split("\n").map((line) => line.trim()).filter(Boolean).map((line) => {
    const colon = line.indexOf(":");
    return colon < 0 ? [line, ""] : [line.slice(0, colon).trim(), line.slice(colon + 1).trim()];
  });

/** Choose the next or the previous request of the list. */
function step(by) {
  const { shown, list } = requests;
  if (!shown.length) return;
  const place = shown.findIndex((one) => String(one.id) === requests.chosen);
  const next = place < 0 ? 0 : Math.min(shown.length - 1, Math.max(0, place + by));
  const [top, height] = [next * rowHeight(), rowHeight()];
  if (top < list.scrollTop) list.scrollTop = top;
  else if (top + height > list.scrollTop + list.clientHeight) list.scrollTop = top + height - list.clientHeight;
  go(hash("requests", shown[next].id, address().query), { replace: true });
}

// ---------------------------------------------------------------- functions

let figuresTimer = 0;

async function loadService() {
  const found = await ask("functions");
  Object.assign(service, { name: found.service, stage: found.stage, functions: found.functions });
  for (const path of found.pages) {
    if (!$("views").querySelector(`[href="${path}"]`)) $("views").append(h("a", { href: path, target: "_blank" }, `${visible(path.split("/").at(-1))} ↗`));
  }
  $("service").textContent = visible(`${found.service} (${found.stage})`);
  document.title = visible(found.service);
}

function figures(one) {
  if (!one.containers) return "runs in the emulator's own process";
  const { idle, busy, starting, started, memory } = one.containers;
  const parts = [`${idle} idle`, `${busy} busy`, starting && `${starting} starting`, `${started} cold ${started === 1 ? "start" : "starts"}`, memory && `at most ${memory} MB`];
  return parts.filter(Boolean).join(", ");
}

async function showFunctions({ chosen }) {
  await loadService();
  if (address().view !== "functions" || address().chosen !== chosen) return;
  const entry = (one) =>
    h(
      "a",
      { class: "entry", href: hash("functions", one.name), "aria-current": one.name === chosen && "true" },
      h("strong", {}, visible(one.name)),
      h("span", { class: "under" }, h("span", { "data-figures": one.name }, figures(one)), h("span", {}, `${one.timeout} s`), h("span", {}, `${one.memory} MB`)),
    );
  const one = service.functions.find((candidate) => candidate.name === chosen);
  const detail = h("article", { class: "detail", hidden: chosen === "" });
  if (one) detail.replaceChildren(...functionParts(one));
  else detail.replaceChildren(h("div", { class: "empty" }, h("p", {}, `There is no function ${visible(chosen)}.`)));
  $("view").replaceChildren(
    h("div", { class: "split", "data-chosen": chosen !== "" }, h("section", { class: "side" }, h("p", { class: "filters meta" }, `${service.functions.length} functions of serverless.yml`), h("div", { class: "entries" }, service.functions.map(entry))), detail),
  );
  clearInterval(figuresTimer);
  figuresTimer = setInterval(safely(refreshFigures), REFRESH);
}

async function refreshFigures() {
  if (address().view !== "functions") return clearInterval(figuresTimer);
  if (document.hidden) return;
  const found = await ask("functions");
  for (const one of found.functions) {
    for (const place of document.querySelectorAll("[data-figures]")) if (place.dataset.figures === one.name) place.textContent = figures(one);
  }
}

function functionParts(one) {
  const settings = [
    ["handler", one.handler],
    ["runtime", one.runtime],
    ["time limit", `${one.timeout} s`],
    ["memory", `${one.memory} MB`],
    ["full name", one.full_name],
  ];
  const routes = one.routes.map((route) => h("li", {}, h("code", {}, visible(`${route.method} ${route.path}`)), h("span", { class: "meta" }, ` ${visible(route.api)}${route.authorizer ? `, authorizer ${visible(route.authorizer)}` : ""}`)));
  return [
    h(
      "header",
      {},
      h("div", { class: "meta" }, button("Back to the list", () => go(hash("functions")), { class: "quiet" })),
      h("h2", {}, visible(one.name)),
      h("p", { class: "meta" }, h("span", { "data-figures": one.name }, figures(one)), h("a", { href: hash("requests", "", new URLSearchParams({ function: one.name })) }, "its requests")),
    ),
    block("Settings", pairs(settings)),
    one.routes.length > 0 && block("Routes", h("ul", { class: "plain" }, routes)),
    one.schedules.length > 0 && block("Schedules", h("p", {}, h("a", { href: hash("schedules") }, visible(one.schedules.join(", "))))),
    Object.keys(one.environment).length > 0 && block("Environment", pairs(Object.entries(one.environment))),
    block("Invoke", invokeForm(one)),
  ].filter(Boolean);
}

function invokeForm(one) {
  const event = h("textarea", { rows: 12, name: "event", "aria-label": "Event", spellcheck: "false" });
  event.value = "{}";
  const sample = h("select", { "aria-label": "Sample event" }, h("option", { value: "{}" }, "an empty event"));
  sample.addEventListener("change", () => (event.value = sample.value));
  const out = h("div", { "aria-live": "polite" });
  safely(async () => {
    const { events } = await ask(`functions/${encodeURIComponent(one.name)}/events`);
    sample.append(...events.map((found) => h("option", { value: JSON.stringify(found.event, null, 2) }, visible(found.name))));
    if (one.routes.length && events.length && event.value === "{}") {
      sample.selectedIndex = 1;
      event.value = sample.value;
    }
  })();
  const send = async (submitted) => {
    submitted.preventDefault();
    out.replaceChildren(h("p", { class: "meta" }, "running"));
    try {
      out.replaceChildren(...(await invoked(one, event.value)));
    } catch (error) {
      out.replaceChildren(h("p", { class: "wrong" }, visible(error.message)));
    }
  };
  return h("form", { class: "form", onsubmit: send }, sample, event, h("div", { class: "actions" }, h("button", { class: "main" }, "Invoke")), out);
}

async function invoked(one, event) {
  const begun = performance.now();
  const response = await fetch(`/2015-03-31/functions/${encodeURIComponent(one.name)}/invocations`, { method: "POST", body: event, headers: { "Content-Type": "application/json", "X-Amz-Log-Type": "Tail" } });
  const text = await response.text();
  const elapsed = took(performance.now() - begun);
  if (!response.ok) throw new Error(JSON.parse(text).message || text);
  const failed = response.headers.has("x-amz-function-error");
  const tail = response.headers.get("x-amz-log-result");
  const log = tail ? new TextDecoder().decode(Uint8Array.from(atob(tail), (char) => char.charCodeAt(0))) : "";
  return [h("p", { class: failed ? "wrong" : "meta" }, `${failed ? "The function failed" : "The function answered"} after ${elapsed}`), box(pretty(text), "Answer"), log && block("Log", box(log, "Log"))].filter(Boolean);
}

// ---------------------------------------------------------------- schedules

async function showSchedules() {
  const { schedules } = await ask("schedules");
  if (address().view !== "schedules") return;
  const out = h("div", { "aria-live": "polite" });
  const run = (one) => async (event) => {
    event.target.disabled = true;
    try {
      const answer = await ask(`schedules/${encodeURIComponent(one.name)}/runs`, { method: "POST" });
      out.replaceChildren(block(`The answer of ${visible(one.function)}`, box(JSON.stringify(answer, null, 2), "Answer")));
    } catch (error) {
      out.replaceChildren(h("p", { class: "wrong" }, `${visible(one.function)}: ${visible(error.message)}`));
    } finally {
      event.target.disabled = false;
    }
  };
  const line = (one) =>
    h(
      "tr",
      {},
      h("td", {}, visible(one.name)),
      h("td", {}, h("a", { href: hash("functions", one.function) }, visible(one.function))),
      h("td", {}, h("code", {}, visible(one.timezone === "UTC" ? one.expression : `${one.expression} ${one.timezone}`)), " ", one.enabled ? "" : h("span", { class: "tag" }, "disabled")),
      h("td", {}, one.next ? h("time", { datetime: one.next }, new Date(one.next).toLocaleString()) : "never"),
      h("td", {}, button("Run now", run(one), { "aria-label": `Run ${visible(one.name)} now` })),
    );
  const table = h("table", {}, h("thead", {}, h("tr", {}, ["Schedule", "Function", "Expression", "Next time", ""].map((name) => h("th", {}, name)))), h("tbody", {}, schedules.map(line)));
  const none = h("div", { class: "empty" }, h("h2", {}, "No schedules"), h("p", {}, "No function of serverless.yml has a schedule event."));
  $("view").replaceChildren(h("div", { class: "pane" }, schedules.length ? table : none, out));
}

// ---------------------------------------------------------------- clock

const ADVANCES = [["1 min", 60], ["10 min", 600], ["45 min", 2700], ["1 hour", 3600], ["1 day", 86_400]];
const moment = (time) => `${new Date(time).toISOString().slice(0, 19).replace("T", " ")} UTC`;

async function showClock() {
  const out = h("div", { "aria-live": "polite" });
  const now = h("p", { class: "now" });
  const about = h("p", {});
  let state = null;
  let since = 0;
  const tell = (found) => {
    [state, since] = [found, performance.now()];
    freeze.textContent = state.running ? "Freeze" : "Run";
    reset.disabled = state.running && state.offset_seconds === 0;
    tick();
    if (found.note || found.ran) out.replaceChildren(...came(found));
  };
  const tick = () => {
    now.textContent = moment(new Date(state.now).getTime() + (state.running ? performance.now() - since : 0));
    about.textContent = state.running ? (state.offset_seconds === 0 ? "The system's time." : `${distance(state.offset_seconds)} the system's time.`) : "Frozen: functions see this moment until the clock runs again.";
  };
  const act = (method, value, path = "clock") => safely(async () => tell(await ask(path, { method, value })));
  const freeze = button("Freeze", () => act("PUT", { running: !state.running })());
  const reset = button("Back to real time", act("DELETE"));
  const at = h("input", { name: "at", "aria-label": "Time in UTC, as 2026-11-22T08:00Z", placeholder: "2026-11-22T08:00Z", size: "22" });
  const set = (event) => {
    event.preventDefault();
    act("PUT", { at: at.value.trim() })();
  };
  const found = await ask("clock");
  if (address().view !== "clock") return;
  const card = h(
    "section",
    { class: "card" },
    now,
    about,
    h("div", { class: "actions" }, freeze, ADVANCES.map(([label, seconds]) => button(`+ ${label}`, act("POST", { seconds }, "clock/advance")))),
    h("form", { class: "actions", onsubmit: set }, at, h("button", {}, "Set"), h("span", { class: "gap" }), reset),
    h("p", { class: "meta" }, "Schedules that fall due while the clock advances run in their order. Deadlines and sockets keep real time."),
  );
  $("view").replaceChildren(h("div", { class: "pane" }, card, out));
  tell(found);
  const timer = setInterval(() => (card.isConnected ? tick() : clearInterval(timer)), 250);
}

function distance(seconds) {
  const units = [["days", 86_400], ["hours", 3600], ["minutes", 60], ["seconds", 1]];
  const size = Math.abs(seconds);
  const [unit, length] = units.find(([, one]) => size >= 2 * one) || units[3];
  return `${Math.round(size / length).toLocaleString()} ${unit} ${seconds < 0 ? "behind" : "ahead of"}`;
}

function came(found) {
  const line = (one) => h("tr", {}, h("td", {}, moment(one.time)), h("td", {}, visible(one.schedule)), h("td", {}, h("a", { href: hash("functions", one.function) }, visible(one.function))), h("td", {}, visible(one.result)));
  const ran = found.ran || [];
  return [
    found.note && h("p", { class: "callout calm" }, visible(found.note)),
    found.ran && !ran.length && h("p", { class: "meta" }, "No schedule fell due."),
    ran.length > 0 && h("table", {}, h("thead", {}, h("tr", {}, ["Due", "Schedule", "Function", "Result"].map((name) => h("th", {}, name)))), h("tbody", {}, ran.map(line))),
  ].filter(Boolean);
}

// ---------------------------------------------------------------- connections

const live = { frames: [], last: 0, timer: 0 };
const FRAMES = 500; // that are shown

async function lookAtConnections() {
  const found = await ask(`connections?after=${live.last}`);
  if (found.last < live.last) live.frames = []; // the emulator was started again
  live.frames = [...live.frames, ...found.frames].slice(-FRAMES);
  live.last = found.last;
  return found;
}

async function showConnections({ chosen }) {
  const found = await lookAtConnections();
  if (address().view !== "connections" || address().chosen !== chosen) return;
  const list = h("div", { class: "entries" });
  const frames = h("div", { class: "frames", tabindex: "0", "aria-label": "Messages" });
  const state = h("p", { class: "meta" });
  const text = h("textarea", { rows: 3, name: "text", "aria-label": "Message to the client", spellcheck: "false" });
  const path = `connections/${encodeURIComponent(chosen)}`;
  const send = safely(async (event) => {
    event.preventDefault();
    await ask(`${path}/messages`, { method: "POST", value: { text: text.value } });
    text.value = "";
    await refresh();
  });
  const close = button("Close the connection", safely(async () => {
    await ask(path, { method: "DELETE" });
    await refresh();
  }));
  const submit = h("button", { class: "main" }, "Send");
  const draw = (now) => {
    list.replaceChildren(...now.connections.map((one) =>
      h("a", { class: "entry", href: hash("connections", one.id), "aria-current": one.id === chosen && "true" },
        h("strong", { class: "mono" }, visible(one.id)),
        h("span", { class: "under" }, h("span", {}, `since ${clockTime(one.connected)}`), h("span", {}, `last message ${clockTime(one.last_active)}`), h("span", {}, visible(one.source_ip))))));
    if (!now.connections.length) list.append(h("div", { class: "empty" }, h("h2", {}, "No open connection"), h("p", {}, now.used ? "Connections appear by themselves." : "No function of serverless.yml has a websocket event.")));
    const open = now.connections.some((one) => one.id === chosen);
    state.textContent = open ? "open" : "closed";
    submit.disabled = close.disabled = !open;
    const own = live.frames.filter((one) => one.connection === chosen);
    if (frames.childElementCount === own.length && frames.dataset.last === String(own.at(-1)?.number)) return;
    frames.dataset.last = String(own.at(-1)?.number);
    frames.replaceChildren(...own.map((one) =>
      h("div", { class: "frame", "data-direction": one.direction },
        h("span", { class: "meta" }, one.direction === "in" ? "from the client" : "to the client", h("time", { datetime: one.time }, clockTime(one.time)), one.base64 && "in base64"),
        box(one.base64 ? one.data : pretty(one.data), "Message"))));
    frames.scrollTop = frames.scrollHeight;
  };
  const refresh = async () => draw(await lookAtConnections());
  const detail = h("article", { class: "detail", hidden: chosen === "" },
    h("header", {}, h("div", { class: "meta" }, button("Back to the list", () => go(hash("connections")), { class: "quiet" })), h("h2", {}, visible(chosen)), state),
    block("Messages", frames),
    h("form", { class: "form", onsubmit: send }, text, h("div", { class: "actions" }, submit, close)));
  const view = h("div", { class: "split", "data-chosen": chosen !== "" }, h("section", { class: "side" }, h("p", { class: "filters meta" }, "Open WebSocket connections"), list), detail);
  $("view").replaceChildren(view);
  draw(found);
  clearInterval(live.timer);
  live.timer = setInterval(() => {
    if (!view.isConnected) clearInterval(live.timer);
    else if (!document.hidden) refresh().catch(() => {}); // the top of the page says that the emulator does not answer
  }, REFRESH / 2);
}

// ---------------------------------------------------------------- faults

const KINDS = {
  latency: "wait before the function",
  error: "answer with a status instead",
  exception: "let the function fail",
  timeout: "let it run into its time limit",
  throttle: "answer 429, as when every environment is busy",
  cold: "begin with a cold start",
  "kill-before": "end the process before the handler",
  "kill-after": "end the process after the handler",
  disconnect: "close the connection instead of an answer",
  "lost-answer": "do the work, and lose the answer",
};

async function showFaults() {
  const { rules, applied } = await ask("faults");
  if (address().view !== "faults") return;
  const put = async (changed) => {
    await ask("faults", { method: "PUT", value: { rules: changed } });
    await showFaults();
  };
  const target = (rule) => visible(rule.function || rule.route || "everything");
  const settings = (rule) => [["rate", rule.rate], ["times", rule.times], ["seed", rule.seed], ["status", rule.status], ["milliseconds", rule.milliseconds]].filter(([, value]) => value !== undefined && value !== null).map(([name, value]) => `${name} ${typeof value === "object" ? JSON.stringify(value) : value}`).join(", ");
  const line = (rule, place) =>
    h(
      "tr",
      {},
      h("td", {}, h("strong", {}, visible(rule.kind))),
      h("td", {}, target(rule)),
      h("td", {}, visible(settings(rule)) || "always"),
      h("td", {}, `${applied[place] || 0} times`),
      h("td", {}, button("Remove", safely(() => put(rules.filter((_, other) => other !== place))), { "aria-label": `Remove ${visible(rule.kind)} of ${target(rule)}` })),
    );
  const table = h("table", {}, h("thead", {}, h("tr", {}, ["Fault", "Of", "Settings", "Happened", ""].map((name) => h("th", {}, name)))), h("tbody", {}, rules.map(line)));
  const none = h("p", { class: "meta" }, "Nothing goes wrong on purpose. Add a rule, and every answer that it touches has the header Emulator-Fault.");
  $("view").replaceChildren(h("div", { class: "pane" }, rules.length ? table : none, faultForm((rule) => put([...rules, rule]))));
}

function faultForm(add) {
  const choice = (name, label, options) => h("label", { class: "field" }, label, h("select", { name }, options));
  const amount = (name, label, attributes) => h("label", { class: "field" }, label, h("input", { name, type: "number", ...attributes }));
  const targets = [
    ...service.functions.map((one) => ["function", one.name]),
    ...service.functions.flatMap((one) => one.routes).filter((one) => one.api === "httpApi" || one.api === "http").map((one) => ["route", `${one.method} ${one.path}`]),
  ];
  const wrong = h("p", { class: "wrong", role: "alert" });
  const send = async (event) => {
    event.preventDefault();
    const given = new FormData(event.target);
    const [kind, name] = JSON.parse(given.get("target"));
    const rule = { kind: given.get("kind"), [kind]: name };
    for (const one of ["rate", "times", "seed", "status", "milliseconds"]) if (given.get(one) !== "") rule[one] = Number(given.get(one));
    try {
      await add(rule);
    } catch (error) {
      wrong.textContent = visible(error.message);
    }
  };
  return h(
    "form",
    { class: "card", onsubmit: send },
    h("h2", {}, "Add a fault"),
    h(
      "div",
      { class: "fields" },
      choice("kind", "Fault", Object.entries(KINDS).map(([kind, about]) => h("option", { value: kind }, `${kind}: ${about}`))),
      choice("target", "Of the function or the route", targets.map((one) => h("option", { value: JSON.stringify(one) }, `${one[0]} ${visible(one[1])}`))),
      amount("rate", "Rate, 0 to 1", { min: 0, max: 1, step: "any", placeholder: "1" }),
      amount("times", "At most so often", { min: 0, placeholder: "no limit" }),
      amount("seed", "Seed", { placeholder: "0" }),
      amount("status", "Status of an error", { min: 400, max: 599, placeholder: "500" }),
      amount("milliseconds", "Milliseconds", { min: 0, step: "any" }),
    ),
    wrong,
    h("div", { class: "actions" }, h("button", { class: "main" }, "Add")),
  );
}

// ---------------------------------------------------------------- recordings

async function showRecordings() {
  const { snapshots } = await ask("snapshots");
  if (address().view !== "recordings") return;
  const name = h("input", { name: "name", "aria-label": "Name of the snapshot", placeholder: "before-the-lesson", required: true });
  const wrong = h("p", { class: "wrong", role: "alert" });
  const act = async (work, said) => {
    try {
      await work();
      notice(said);
      await showRecordings();
    } catch (error) {
      wrong.textContent = visible(error.message);
    }
  };
  const path = (one) => `snapshots/${encodeURIComponent(one)}`;
  const save = (event) => {
    event.preventDefault();
    act(() => ask(path(name.value), { method: "PUT", value: {} }), `Saved ${name.value}`);
  };
  const line = (one) =>
    h(
      "tr",
      {},
      h("td", {}, visible(one.name)),
      h("td", {}, h("time", { datetime: one.time }, moment(one.time))),
      h("td", {}, visible(one.databases.map((database) => `${database.variable} (${database.kind})`).join(", "))),
      h("td", {}, button("Load", () => act(() => ask(`${path(one.name)}/load`, { method: "POST" }), `Loaded ${one.name}`), { "aria-label": `Load ${visible(one.name)}` })),
    );
  const table = h("table", {}, h("thead", {}, h("tr", {}, ["Snapshot", "Time", "Databases", ""].map((title) => h("th", {}, title)))), h("tbody", {}, snapshots.map(line)));
  $("view").replaceChildren(
    h(
      "div",
      { class: "pane" },
      h(
        "section",
        { class: "card" },
        h("h2", {}, "A recording becomes a test"),
        h("p", {}, "Every kept request with its answer, as a file. Secrets are masked. Send it again and see what is different:"),
        h("pre", {}, `python -m emulator replay recording.ndjson --port ${location.port || 80}`),
        h("div", { class: "actions" }, h("a", { class: "button", href: "recording", download: "recording.ndjson" }, "Download the recording")),
      ),
      h(
        "section",
        { class: "card" },
        h("h2", {}, "Snapshots of the databases"),
        h("p", {}, "A snapshot keeps what the databases of the manifest's environment hold now. Loading it puts them back, and the functions start anew."),
        h("form", { class: "actions", onsubmit: save }, name, h("button", {}, "Save")),
        wrong,
      ),
      snapshots.length > 0 ? table : "",
    ),
  );
}

// ---------------------------------------------------------------- the frame

const SHOW = { requests: showRequests, functions: showFunctions, schedules: showSchedules, connections: showConnections, clock: showClock, faults: showFaults, recordings: showRecordings };

function show() {
  const now = address();
  for (const link of document.querySelectorAll("#views a")) {
    if (link.dataset.view === now.view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  safely(SHOW[now.view])(now);
}

function listen() {
  const stream = new EventSource(`stream?after=${requests.last}`);
  let fresh = [];
  const live = (state, text) => {
    $("live").dataset.state = state;
    $("live").textContent = text;
  };
  stream.onopen = () => live("live", "live");
  stream.onerror = () => live("waiting", "waiting for the emulator");
  stream.addEventListener("request", (event) => {
    if (!fresh.length) setTimeout(() => received(fresh.splice(0)), 0);
    fresh.push(JSON.parse(event.data));
  });
  stream.addEventListener("reset", () => {
    // The emulator was started again: its numbers have begun anew.
    fresh = [];
    requests.rows = new Map();
    requests.list?.replaceChildren(h("div"));
    safely(loadService)();
    safely(loadRequests)(address().query);
  });
}

function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || $("help").open) return;
  const { view, chosen, query } = address();
  const typing = event.target.closest("input:not([type=checkbox]), textarea, select");
  if (event.key === "Escape") {
    if (typing) event.target.blur();
    else if (chosen) go(hash(view, "", query));
    if (view === "requests") requests.list?.focus();
    return;
  }
  if (typing) return;
  const onView = {
    "/": () => $("filter-text").focus(),
    j: () => step(1),
    k: () => step(-1),
    x: () => $("filter-first").click(),
    r: () => $("replay")?.click(),
    e: () => $("edit")?.click(),
  };
  const onList = { ArrowDown: () => step(1), ArrowUp: () => step(-1), PageDown: () => step(10), PageUp: () => step(-10), Home: () => step(-MOST), End: () => step(MOST), Enter: () => requests.detail.focus() };
  const views = Object.keys(VIEWS);
  const act =
    (event.key === "?" && (() => $("help").showModal())) ||
    (view === "requests" && onView[event.key]) ||
    (view === "requests" && event.target === requests.list && onList[event.key]) ||
    (views[Number(event.key) - 1] && (() => go(hash(views[Number(event.key) - 1]))));
  if (!act) return;
  event.preventDefault();
  act();
}

async function begin() {
  $("views").replaceChildren(...Object.entries(VIEWS).map(([view, label]) => h("a", { href: hash(view), "data-view": view }, label)));
  $("help-button").addEventListener("click", () => $("help").showModal());
  addEventListener("hashchange", show);
  addEventListener("keydown", key);
  addEventListener("resize", draw);
  await safely(loadService)();
  await safely(loadRequests)(address().query);
  requests.filter = String(filters(address().query));
  listen();
  show();
}

begin();
