// Import products from a CSV file, and export products and orders.

import { api, dataOf, PageError, ProblemError } from "./api.js";
import { button, create, errorNote, showMessage, written } from "./elements.js";
import { labelled, onSubmit } from "./forms.js";
import { counted } from "./text.js";

/** @typedef {import("./api.js").Schemas} Schemas */
/** @typedef {Schemas["ProductFileFault"]} Fault */

const MAX_BYTES = 16777216;
const FAULTS_SHOWN = 100;

/** @param {HTMLElement} main */
export async function showFiles(main) {
  main.append(importCard(), exportCard());
}

function importCard() {
  const form = create("form", { class: "fields" });
  const errors = create("div", { role: "alert" });
  const result = create("div", { role: "status", id: "import-result" });
  form.append(
    labelled({ name: "file", label: "CSV file", type: "file", required: true, hint: "UTF-8, with the columns sku, name, price and optionally description, currency and stock. At most 16 MiB." }),
    labelled({ name: "skip_faulty", label: "Import the valid lines even if others have faults", type: "checkbox" }),
    errors,
    create("p", { class: "actions" }, create("button", {}, "Check the file"), importButton(form, result, errors)),
    result,
  );
  form.querySelector("input[type=file]")?.setAttribute("accept", ".csv,text/csv");
  onSubmit(form, errors, (data) => send(data, true, result));
  return create(
    "section",
    { class: "card" },
    create("h2", {}, "Import products"),
    create("p", { class: "faint" }, "Creates new products, and updates those whose SKU exists. Check the file first: a check changes nothing."),
    form,
  );
}

/** @param {HTMLFormElement} form @param {HTMLElement} result @param {HTMLElement} errors */
function importButton(form, result, errors) {
  return button("Import", async () => {
    if (!form.reportValidity()) return;
    errors.replaceChildren();
    try {
      await send(new FormData(form), false, result);
    } catch (error) {
      errors.replaceChildren(errorNote(error));
    }
  }, { class: "secondary" });
}

/** Send the file, show the progress and then the report.
 * @param {FormData} data @param {boolean} isCheck @param {HTMLElement} result */
async function send(data, isCheck, result) {
  const file = data.get("file");
  if (!(file instanceof File) || file.size === 0) throw new PageError("Choose a file that is not empty.");
  if (file.size > MAX_BYTES) throw new PageError("The file is larger than 16 MiB. Split it into several files.");
  const text = `${isCheck ? "Checking" : "Importing"} ${file.name} (${Math.ceil(file.size / 1024)} KiB)…`;
  result.replaceChildren(create("p", {}, written(text)), create("progress", { "aria-label": text }));
  try {
    result.replaceChildren(report(await importFile(file, isCheck, data.has("skip_faulty"))));
  } catch (error) {
    result.replaceChildren();
    if (!(error instanceof ProblemError) || error.problem.faults === undefined) throw error;
    const { faults, faulty = faults.length } = error.problem;
    result.replaceChildren(
      create("div", { class: "notice bad" },
        create("p", {}, create("strong", {}, isCheck ? `The file has ${counted(faulty, "faulty line")}` : `Nothing was imported: ${counted(faulty, "faulty line")}`)),
        create("p", {}, "Correct these lines and choose the file again, or import only the valid lines.")),
      faultTable(faults, faulty),
    );
  }
}

/** @param {File} file @param {boolean} dry_run @param {boolean} skip_faulty */
async function importFile(file, dry_run, skip_faulty) {
  const result = await api.POST("/products/import", {
    params: { query: { dry_run, skip_faulty } },
    // The type of a binary body in the generated client is string.
    body: /** @type {string} */ (/** @type {unknown} */ (file)),
    bodySerializer: (/** @type {unknown} */ body) => /** @type {Blob} */ (body),
    headers: { "Content-Type": "text/csv" },
  });
  return dataOf(result);
}

/** @param {Schemas["ProductImport"]} report_ */
function report(report_) {
  const { dry_run, created, updated, unchanged, faulty, faults } = report_;
  const text = `${counted(created, "product")} ${dry_run ? "would be" : created === 1 ? "was" : "were"} created, ${updated} updated, ${unchanged} unchanged.`;
  return create("div", {},
    create("div", { class: "notice good" },
      create("p", {}, create("strong", {}, dry_run ? "The file can be imported" : "The file is imported")), create("p", {}, text)),
    faulty > 0 ? faultTable(faults, faulty) : null);
}

/** @param {Fault[]} faults @param {number} faulty */
function faultTable(faults, faulty) {
  const rows = faults.slice(0, FAULTS_SHOWN).map(({ line, column, message }) =>
    create("tr", {}, create("td", {}, String(line)), create("td", {}, written(column ?? "")), create("td", {}, written(message))));
  const head = ["Line", "Column", "Fault"].map((text) => create("th", { scope: "col" }, text));
  return create("div", {},
    create("table", { class: "faults" }, create("caption", {}, `${counted(faulty, "line")} with faults`),
      create("thead", {}, create("tr", {}, ...head)), create("tbody", {}, ...rows)),
    faults.length > FAULTS_SHOWN ? create("p", { class: "faint" }, `The first ${FAULTS_SHOWN} faults are shown.`) : null);
}

function exportCard() {
  return create(
    "section",
    { class: "card" },
    create("h2", {}, "Export"),
    create("p", { class: "faint" }, "CSV files in UTF-8. The file of products can be imported again."),
    create("p", { class: "actions" },
      button("Export products", async () => download(dataOf(await api.GET("/products/export", { parseAs: "blob" })), "products.csv"), { class: "secondary" }),
      button("Export orders", async () => download(dataOf(await api.GET("/orders/export", { parseAs: "blob" })), "orders.csv"), { class: "secondary" })),
  );
}

/** Save a file. Not by a plain link: the access cookie may have expired.
 * @param {Blob} blob @param {string} name */
function download(blob, name) {
  const link = create("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  URL.revokeObjectURL(link.href);
  showMessage(`${name} is complete: ${Math.ceil(blob.size / 1024)} KiB.`);
}
