// The self-contained page: a comment as it is typed, a file in the background.
import { WorkerScreener } from "../client.js";
import { ACTIONS, ATTRIBUTES, DEFINITIONS, MAX_CHARS } from "../tables.js";

const DELAY = 150; // milliseconds without a keystroke
const PASTED = 20_000; // units of a text that the field takes

const $ = (id) => document.getElementById(id);
const part = (id) => $(id).textContent;
const SAYS = {
  allow: "Allowed",
  monitor: "Allowed, and kept in view",
  review: "A person should look at it",
  remove: "To be removed",
};
const reading = (attribute) => attribute.replaceAll("_", " ");

let screener;
let policy;
let typing;
let running;

async function load() {
  const worker = new Worker(URL.createObjectURL(new Blob([part("worker")], { type: "text/javascript" })));
  const names = ["manifest", "model", "tokenizer", "wasm"];
  const source = Object.fromEntries(names.map((name) => [name, part(name)]));
  screener = await WorkerScreener.load(source, { worker, packed: true });
  for (const id of [...names, "worker"]) $(id).remove(); // free their memory
  const { name, version, digest, policies } = screener.bundle;
  $("about").textContent = `Model: ${name} ${version} (${digest.slice(0, 16)})`;
  const chosen = JSON.parse(part("chosen"));
  if (typeof chosen === "object") policies.own = chosen;
  const choices = Object.keys(policies).sort((a, b) => (b === "default") - (a === "default"));
  $("policy").append(...choices.map((each) => new Option(each, each)));
  $("policy").value = typeof chosen === "object" ? "own" : chosen;
  $("choice").hidden = choices.length < 2;
  choosePolicy();
  $("comment").disabled = $("file").disabled = false;
  $("loading").textContent = "";
  judge();
}

// One comment.

$("comment").addEventListener("paste", (event) => {
  const pasted = event.clipboardData?.getData("text/plain").length ?? 0;
  $("cut").textContent = pasted > PASTED ? "The pasted text is longer than any comment; its beginning is kept." : "";
});
$("comment").addEventListener("input", () => {
  clearTimeout(typing);
  running?.abort();
  typing = setTimeout(judge, DELAY);
});
$("policy").addEventListener("change", () => {
  choosePolicy();
  judge();
});

function choosePolicy() {
  policy = screener.bundle.policies[$("policy").value];
}

async function judge() {
  running?.abort();
  running = new AbortController();
  const { signal } = running;
  // A program can put more into the field than a person.
  const text = $("comment").value.slice(0, 2 * MAX_CHARS);
  if (!text.trim()) {
    $("verdict").textContent = $("words").textContent = "";
    $("marked").hidden = $("scores").hidden = true;
    return;
  }
  try {
    const verdict = await screener.judge(text, { signal, policy });
    showVerdict(verdict);
    const spans = await screener.explain(text, verdict.attribute, { signal });
    showWords(text, spans, verdict.attribute);
  } catch (error) {
    if (!signal.aborted) $("verdict").textContent = sentence(error);
  }
}

function showVerdict({ action, attribute, score, scores }) {
  const why = action === ACTIONS[0] ? "" : `, because of ${reading(attribute)} ${score.toFixed(2)}`;
  const said = `${SAYS[action]} (${action})${why}.`;
  if ($("verdict").textContent !== said) $("verdict").textContent = said;
  $("scores").tBodies[0].replaceChildren(
    ...ATTRIBUTES.map((each) => {
      const cuts = policy[each] ?? {};
      const row = document.createElement("tr");
      row.className = Object.values(cuts).some((cut) => scores[each] >= cut) ? "reached" : "";
      const name = document.createElement("th");
      name.scope = "row";
      name.textContent = reading(each);
      name.title = DEFINITIONS[each];
      const bar = document.createElement("meter");
      bar.value = scores[each];
      bar.setAttribute("aria-label", reading(each));
      row.append(name, cell(scores[each].toFixed(3)), cell(bar));
      for (const step of ACTIONS.slice(1)) row.append(cell(cuts[step] == null ? "–" : cuts[step].toFixed(2)));
      return row;
    }),
  );
  $("scores").hidden = false;
  $("marked").hidden = true;
  $("words").textContent = "";
}

function cell(content) {
  const made = document.createElement("td");
  made.append(content);
  return made;
}

function showWords(text, spans, attribute) {
  const pieces = [];
  let end = 0;
  for (const span of spans) {
    pieces.push(text.slice(end, span.begin), marked(text.slice(span.begin, span.end), span.contribution));
    end = span.end;
  }
  $("marked").replaceChildren(...pieces, text.slice(end));
  $("marked").hidden = false;
  const telling = spans
    .filter((span) => Math.abs(span.contribution) >= 0.02)
    .sort((a, b) => Math.abs(b.contribution) - Math.abs(a.contribution))
    .slice(0, 8)
    .map((span) => `“${text.slice(span.begin, span.end).slice(0, 40)}” ${signed(span.contribution)}`);
  $("words").textContent = telling.length ? `What words add to ${reading(attribute)}: ${telling.join(", ")}` : "";
}

function marked(word, contribution) {
  const kind =
    contribution >= 0.1 ? "strong" : contribution >= 0.02 ? "some" : contribution <= -0.02 ? "soothing" : "";
  if (!kind) return word;
  const made = document.createElement("mark");
  made.className = kind;
  made.title = signed(contribution);
  made.textContent = word;
  return made;
}

function signed(number) {
  return (number < 0 ? "−" : "+") + Math.abs(number).toFixed(2);
}

// A file.

let file;
let screening;

for (const type of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(type, (event) => {
    event.preventDefault(); // a file that misses the box must not replace the page
    $("drop").classList.toggle("over", type === "dragover");
    if (type === "drop" && event.dataTransfer.files.length && !$("file").disabled) {
      choose(event.dataTransfer.files[0]);
    }
  });
}
$("file").addEventListener("change", () => {
  const [chosen] = $("file").files;
  $("file").value = ""; // so that the same file can be chosen again
  if (chosen) choose(chosen);
});
$("start").addEventListener("click", screen);
$("stop").addEventListener("click", () => screening?.abort());

async function choose(chosen) {
  screening?.abort();
  file = chosen;
  forget();
  $("column-choice").hidden = true;
  try {
    const { names, textColumn } = await screener.columns(file);
    $("column").replaceChildren(...names.map((name) => new Option(name, name)));
    if (textColumn !== null) $("column").value = textColumn;
    $("column-choice").hidden = false;
    $("outcome").textContent = `${file.name}: ${names.length} columns.`;
  } catch (error) {
    $("outcome").textContent = sentence(error);
  }
}

function forget() {
  if ($("download").href) URL.revokeObjectURL($("download").href);
  $("download").removeAttribute("href");
  $("download").hidden = $("progress-line").hidden = true;
  $("outcome").textContent = "";
}

async function screen() {
  forget();
  screening = new AbortController();
  const { signal } = screening;
  $("progress").value = 0;
  $("progress-line").hidden = $("stop").hidden = false;
  $("start").disabled = true;
  try {
    const { blob, rows, errors, actions } = await screener.screen(file, {
      textColumn: $("column").value,
      policy,
      signal,
      progress: (fraction) => ($("progress").value = fraction),
    });
    const counts = ACTIONS.map((action) => `${action} ${actions[action].toLocaleString("en")}`).join(", ");
    const bad = errors ? ` ${errors.toLocaleString("en")} rows could not be screened: see the column error.` : "";
    $("outcome").textContent = `${rows.toLocaleString("en")} rows: ${counts}.${bad}`;
    $("download").href = URL.createObjectURL(blob);
    $("download").download = file.name.replace(/(\.[^.]*)?$/, ".screened$1");
    $("download").hidden = false;
  } catch (error) {
    if (signal === screening.signal) $("outcome").textContent = signal.aborted ? "Stopped." : sentence(error);
  } finally {
    if (signal === screening.signal) {
      $("stop").hidden = $("progress-line").hidden = true;
      $("start").disabled = false;
    }
  }
}

function sentence(error) {
  const said = String(error.message ?? error);
  return said[0].toUpperCase() + said.slice(1) + (/[.!?]$/.test(said) ? "" : ".");
}

load().catch((error) => {
  $("loading").className = "error";
  $("loading").textContent = sentence(error);
});
