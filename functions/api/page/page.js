// The page of the API: lists the operations of /api/openapi.json, and sends what the reader fills in.
// Everything that comes from the description or an answer is set as text, never as markup.
"use strict";

const METHODS = ["get", "put", "patch", "post", "delete"];
const SHOWN_HEADERS = ["etag", "content-type", "retry-after", "location", "allow"];
const LONGEST_SHOWN = 200_000;

const byId = (id) => document.getElementById(id);
const key = byId("key");
let description = null;

function element(name, text, className) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function headersWithKey(headers = {}) {
  return key.value ? { ...headers, "x-functions-key": key.value } : headers;
}

async function open() {
  byId("told").textContent = "Loading ...";
  const answer = await fetch("/api/openapi.json", { headers: headersWithKey() });
  if (!answer.ok) throw new Error(answer.status === 401 ? "The key is missing or wrong." : `The API answers ${answer.status}.`);
  description = await answer.json();
  sessionStorage.setItem("key", key.value);
  show();
  byId("told").textContent = `Version ${description.info.version}: ${description.info.summary}`;
  byId("main").hidden = false;
}

function show() {
  const groups = new Map();
  for (const [path, item] of Object.entries(description.paths)) {
    for (const method of METHODS.filter((each) => item[each])) {
      const operation = item[method];
      const tag = (operation.tags ?? ["other"])[0];
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push(showOperation(method, path, operation));
    }
  }
  const sections = [...groups].map(([tag, operations]) => {
    const section = element("section");
    section.append(element("h2", tag), ...operations);
    return section;
  });
  byId("operations").replaceChildren(...sections);
  find();
}

function showOperation(method, path, operation) {
  const shown = byId("operation").content.cloneNode(true).firstElementChild;
  const part = (selector) => shown.querySelector(selector);
  part(".method").textContent = method.toUpperCase();
  part(".method").classList.add(method);
  part(".path").textContent = path;
  part(".title").textContent = operation.summary ?? "";
  part(".description").textContent = operation.description ?? "";
  shown.dataset.words = `${method} ${path} ${operation.summary} ${operation.operationId} ${operation.tags}`.toLowerCase();
  shown.addEventListener("toggle", () => fill(shown, method, path, operation), { once: true });
  return shown;
}

function fill(shown, method, path, operation) {
  const part = (selector) => shown.querySelector(selector);
  const inputs = (operation.parameters ?? []).map((parameter, number) => {
    const [row, input] = showParameter(parameter, `${operation.operationId}-${number}`);
    part(".parameters").append(row);
    return { parameter, input };
  });
  const body = operation.requestBody ? showBody(part, operation) : null;
  for (const [status, answer] of Object.entries(operation.responses)) {
    part("dl").append(element("dt", status), element("dd", answer.description));
  }
  part("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    part(".sent").textContent = "Sending ...";
    try {
      await showAnswer(part, await send(method, path, inputs, body));
      part(".sent").textContent = "";
    } catch (error) {
      part(".sent").textContent = `Not sent: ${error.message}`;
    }
  });
}

function showParameter(parameter, id) {
  const row = element("div", "", "parameter");
  const label = element("label", parameter.name);
  const input = element("input");
  label.htmlFor = input.id = id;
  input.required = Boolean(parameter.required);
  input.autocomplete = "off";
  const fallback = resolved(parameter.schema).default;
  if (fallback !== undefined && fallback !== null) input.placeholder = String(fallback);
  const hint = element("span", [parameter.in, parameter.description].filter(Boolean).join(": "), "hint");
  hint.id = `${id}-hint`;
  input.setAttribute("aria-describedby", hint.id);
  row.append(label, input, hint);
  return [row, input];
}

function showBody(part, operation) {
  const [type, media] = Object.entries(operation.requestBody.content)[0];
  const schema = resolved(media.schema);
  const examples = media.example !== undefined ? [media.example] : schema.examples ?? [{}];
  const area = part("textarea");
  area.id = `${operation.operationId}-body`;
  part(".body label").htmlFor = area.id;
  part(".body").hidden = false;
  const choice = part(".examples");
  choice.append(...examples.map((_, number) => new Option(`Example ${number + 1}`, number)));
  choice.hidden = examples.length < 2;
  const take = () => {
    const example = examples[choice.value] ?? examples[0];
    area.value = typeof example === "string" ? example : JSON.stringify(example, null, 2);
  };
  choice.addEventListener("change", take);
  take();
  const rows = fieldsOf(schema, "");
  part(".schema").hidden = rows.length === 0;
  part(".schema tbody").append(...rows);
  return { type, area };
}

function fieldsOf(schema, prefix) {
  return Object.entries(schema.properties ?? {}).flatMap(([name, property]) => {
    const nested = resolved(property);
    const row = element("tr");
    const required = (schema.required ?? []).includes(name) ? " (required)" : "";
    row.append(element("td", prefix + name), element("td", typeOf(property) + required), element("td", property.description));
    return [row, ...fieldsOf(nested, `${prefix}${name}/`)];
  });
}

function resolved(schema) {
  if (schema?.$ref) return description.components.schemas[schema.$ref.split("/").pop()] ?? {};
  const some = (schema?.anyOf ?? []).find((each) => each.$ref);
  return some ? resolved(some) : schema ?? {};
}

function typeOf(schema) {
  if (schema.enum) return schema.enum.join(" | ");
  if (schema.anyOf) return [...new Set(schema.anyOf.map(typeOf))].join(" | ");
  if (schema.$ref) {
    const target = resolved(schema);
    return target.enum ? target.enum.join(" | ") : "object";
  }
  return schema.type === "array" ? `list of ${typeOf(schema.items ?? {})}` : schema.type ?? "any";
}

async function send(method, path, inputs, body) {
  const query = new URLSearchParams();
  const headers = headersWithKey();
  let url = path;
  for (const { parameter, input } of inputs.filter(({ input }) => input.value !== "")) {
    if (parameter.in === "path") url = url.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    if (parameter.in === "query") query.append(parameter.name, input.value);
    if (parameter.in === "header") headers[parameter.name] = input.value;
  }
  const options = { method: method.toUpperCase(), headers };
  if (body) {
    headers["Content-Type"] = body.type;
    options.body = body.area.value;
  }
  return fetch(query.size ? `${url}?${query}` : url, options);
}

async function showAnswer(part, answer) {
  const content = await answer.blob();
  const type = answer.headers.get("content-type") ?? "";
  part(".answer").hidden = false;
  part(".answer").className = `answer ${answer.ok ? "good" : "bad"}`;
  part("h4").textContent = `${answer.status} ${answer.statusText}`;
  part(".headers").textContent = SHOWN_HEADERS.filter((name) => answer.headers.has(name))
    .map((name) => `${name}: ${answer.headers.get(name)}`).join("\n");
  const readable = /json|^text\//.test(type);
  const text = readable ? await content.text() : "";
  part(".content").hidden = text === "";
  part(".content").textContent = /json/.test(type) ? formatted(text) : text.slice(0, LONGEST_SHOWN);
  const link = part(".download");
  link.hidden = readable || content.size === 0;
  if (!link.hidden) {
    URL.revokeObjectURL(link.href);
    link.href = URL.createObjectURL(content);
    link.download = "content";
  }
}

function formatted(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2).slice(0, LONGEST_SHOWN);
  } catch {
    return text.slice(0, LONGEST_SHOWN);
  }
}

function find() {
  const words = byId("find").value.toLowerCase().split(/\s+/);
  for (const section of byId("operations").children) {
    const operations = [...section.querySelectorAll(".operation")];
    for (const each of operations) each.hidden = !words.every((word) => each.dataset.words.includes(word));
    section.hidden = operations.every((each) => each.hidden);
  }
}

function openOrTell() {
  open().catch((error) => { byId("told").textContent = error.message; });
}

byId("open").addEventListener("submit", (event) => {
  event.preventDefault();
  openOrTell();
});
byId("find").addEventListener("input", find);
key.value = sessionStorage.getItem("key") ?? "";
if (key.value) openOrTell();
