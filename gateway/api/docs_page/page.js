"use strict";

const SECRETS = { ClientToken: "clientToken", PartnerToken: "partnerToken" };
const METHODS = ["get", "put", "post", "delete"];

const form = document.getElementById("who");
const notice = document.getElementById("notice");

// Only the form holds the tokens: every request reads it.
function filledIn() {
  return Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, value.trim()]));
}

function showNotice(text, problem = false) {
  notice.textContent = text;
  notice.classList.toggle("problem", problem);
}

// --- the document, as this page shows it ---

function shown(contract, given) {
  const copy = structuredClone(contract);
  for (const item of Object.values(copy.paths)) {
    // The form fills in the instance for every route.
    if (item.parameters) item.parameters = item.parameters.filter((one) => !/Instance(Id|Token)$/.test(one.$ref));
    for (const method of METHODS) if (item[method]) prepare(item[method], given);
  }
  return copy;
}

function prepare(operation, given) {
  for (const parameter of operation.parameters ?? []) {
    if (parameter.in === "path" && given.has(parameter.name)) parameter.example = given.get(parameter.name);
  }
  for (const answer of Object.values(operation.responses)) {
    // Swagger UI requests the first media type: a picture is easier to scan than its text.
    if (answer.content?.["image/png"]) answer.content = { "image/png": answer.content["image/png"], ...answer.content };
  }
}

function rank(operation) {
  const path = operation.get("path");
  if (path.endsWith("/send-text")) return 0;
  return /\/send-[^/]+$/.test(path) ? 1 : 2;
}

// --- what is sent ---

function missing(path, security, who) {
  const wanted = [];
  if (path.includes("{instanceId}")) wanted.push("instanceId", "instanceToken");
  if (security?.some((scheme) => "PartnerToken" in scheme)) wanted.push("partnerToken");
  return wanted.filter((name) => !who[name]);
}

function labelOf(name) {
  return form.elements[name].labels[0].textContent.trim();
}

function refuse(names) {
  for (const input of form.querySelectorAll("input")) input.toggleAttribute("aria-invalid", names.includes(input.name));
  showNotice(`Nothing was sent. Fill in first: ${names.map(labelOf).join(", ")}.`, true);
  form.elements[names[0]].focus();
}

function accept() {
  for (const input of form.querySelectorAll("input")) input.removeAttribute("aria-invalid");
  if (notice.classList.contains("problem")) showNotice("");
}

function authorise(system, who) {
  for (const [scheme, name] of Object.entries(SECRETS)) {
    if (system.authSelectors.authorized()?.has(scheme)) system.authActions.logout([scheme]);
    if (who[name]) ui.preauthorizeApiKey(scheme, who[name]);
  }
}

// Swagger UI accepts any type until the user chooses one or its list is drawn.
function preferFirstType(system, path, method) {
  const [type] = Object.keys(Object.values(contract.paths[path][method].responses)[0].content ?? {});
  if (type && !system.oas3Selectors.responseContentType(path, method)) {
    system.oas3Actions.setResponseContentType({ value: type, path, method });
  }
}

const fromTheForm = {
  wrapComponents: {
    execute: (Execute, system) =>
      class extends Execute {
        constructor(props, context) {
          super(props, context);
          const send = this.onClick;
          // Runs before Swagger UI marks the operation as executing: only an answer would end that state.
          this.onClick = () => {
            const { path, method } = this.props;
            const who = filledIn();
            const names = missing(path, contract.paths[path][method].security, who);
            if (names.length) return refuse(names);
            accept();
            authorise(system, who);
            preferFirstType(system, path, method);
            return send();
          };
        }
      },
  },
};

function addressed(request) {
  const who = filledIn();
  request.url = request.url.replace(/(?:\{|%7B)(instanceId|instanceToken)(?:\}|%7D)/gi, (_whole, name) =>
    encodeURIComponent(who[name]),
  );
  return request;
}

// --- the one button ---

async function lookUp(who) {
  const names = ["instanceId", "instanceToken"].filter((name) => !who[name]);
  if (names.length === 2 && who.partnerToken) return showNotice("The partner token is used for the routes that need it.");
  if (names.length) return refuse(names);
  const path = ["instances", who.instanceId, "token", who.instanceToken, "status"].map(encodeURIComponent).join("/");
  const answer = await fetch(`/${path}`, who.clientToken ? { headers: { "Client-Token": who.clientToken } } : {});
  const body = await answer.json();
  if (!answer.ok) return showNotice(`The gateway refuses: ${body.error}`, true);
  if (body.connected) return showNotice("This instance is connected: messages can be sent.");
  return showNotice(`${body.error} To link a phone, execute GET /qr-code under Instances and scan what it shows.`);
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  delete form.dataset.checked;
  accept();
  try {
    await lookUp(filledIn());
  } catch {
    showNotice("The gateway does not answer.", true);
  }
  form.dataset.checked = "true";
});

// --- the page ---

const dark = matchMedia("(prefers-color-scheme: dark)");
const colour = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", colour);
colour();

let contract;
let ui;

async function show() {
  // A link such as /docs?phone=5511999999999#/Instances/readPhoneCode fills in named parameters.
  const given = new URLSearchParams(location.search);
  if (given.has("instanceId")) form.elements.instanceId.value = given.get("instanceId");
  contract = shown(await (await fetch("/openapi.json")).json(), given);
  ui = SwaggerUIBundle({
    spec: contract,
    dom_id: "#routes",
    deepLinking: true,
    docExpansion: "none",
    defaultModelsExpandDepth: -1,
    filter: true,
    operationsSorter: (one, other) => rank(one) - rank(other),
    persistAuthorization: false,
    plugins: [fromTheForm],
    queryConfigEnabled: false,
    requestInterceptor: addressed,
    tryItOutEnabled: true,
    validatorUrl: null,
    onComplete: () => {
      form.dataset.ready = "true";
    },
  });
  addEventListener("hashchange", () => ui.layoutActions.parseDeepLinkHash(location.hash));
}

show();
