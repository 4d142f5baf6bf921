import { ATTRIBUTES, Screener, UserError, WorkerScreener, type Verdict } from "giantkiller";
import "giantkiller/nudge";

async function use(file: File): Promise<void> {
  const screener = await Screener.load("/bundle/", { policy: { insult: { review: 0.5 } }, threads: 2 });
  const one: number = (await screener.predict("a")).toxicity;
  const several: number[] = (await screener.predict(["a"])).toxicity;
  const verdict: Verdict = await screener.judge("a", { policy: "strict" });
  const worker = await WorkerScreener.load(new URL("https://example.org/bundle/"));
  const { blob, rows } = await worker.screen(file, { textColumn: "text", progress: (f) => console.log(f) });
  console.log(one, several, verdict.scores[ATTRIBUTES[0]!], blob.size, rows, new UserError("a").message);
  const nudge = document.querySelector("giantkiller-nudge")!;
  nudge.message = (v, words) => `${v.action} ${words.join()}`;
  nudge.addEventListener("giantkiller-verdict", (event) => console.log(event.detail.words));
  // @ts-expect-error an attribute that there is not
  await screener.explain("a", "rudeness");
}
void use;
