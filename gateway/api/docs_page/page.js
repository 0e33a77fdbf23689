"use strict";

const form = document.getElementById("who");
const contract = fetch("/openapi.json").then((answer) => answer.json());

function filledIn(contract, who) {
  const copy = structuredClone(contract);
  for (const parameter of Object.values(copy.components.parameters)) {
    if (parameter.in === "path" && who[parameter.name]) parameter.schema.default = who[parameter.name];
  }
  return copy;
}

async function show(who) {
  const ui = SwaggerUIBundle({
    spec: filledIn(await contract, who),
    dom_id: "#routes",
    deepLinking: true,
    docExpansion: "none",
    filter: true,
    persistAuthorization: false,
    queryConfigEnabled: false,
    tryItOutEnabled: true,
    validatorUrl: null,
    onComplete: () => {
      if (who.clientToken) ui.preauthorizeApiKey("ClientToken", who.clientToken);
      if (who.partnerToken) ui.preauthorizeApiKey("PartnerToken", who.partnerToken);
      form.dataset.ready = "true";
    },
  });
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  delete form.dataset.ready;
  show(Object.fromEntries(new FormData(form)));
});
show({});
