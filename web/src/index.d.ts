export type Attribute =
  | "toxicity"
  | "severe_toxicity"
  | "obscene"
  | "threat"
  | "insult"
  | "identity_attack"
  | "sexual_explicit";
export type Action = "allow" | "monitor" | "review" | "remove";
export type Thresholds = Partial<Record<Attribute, Partial<Record<Exclude<Action, "allow">, number | null>>>>;

export declare const ATTRIBUTES: readonly Attribute[];
export declare const ACTIONS: readonly Action[];
export declare const DEFINITIONS: Readonly<Record<Attribute, string>>;

/** What a user can mend, in one sentence. */
export declare class UserError extends Error {}

export interface Verdict {
  action: Action;
  label: "toxic" | "non-toxic";
  /** The one whose score called for the action; for "allow" the one closest to calling for one. */
  attribute: Attribute;
  score: number;
  scores: Record<Attribute, number>;
}

/** A word, text.slice(begin, end), and the score less the score without it. */
export interface Span {
  begin: number;
  end: number;
  contribution: number;
}

export declare class Policy {
  constructor(thresholds: Thresholds);
  judge(scores: ArrayLike<number>, threshold?: number): Verdict;
  toJSON(): Thresholds;
}

/** The bytes of a bundle's files. */
export interface BundleFiles {
  manifest: ArrayBuffer | ArrayBufferView;
  model: ArrayBuffer | ArrayBufferView;
  tokenizer: ArrayBuffer | ArrayBufferView;
}

export interface LoadOptions {
  /** One of the bundle's policies by name, or thresholds; the bundle's own if left out. */
  policy?: string | Thresholds;
  /** The SHA-256 (hex) that the manifest must have. */
  digest?: string;
  /** Where onnxruntime's .wasm is, or its bytes; found by itself if left out. */
  wasm?: string | URL | ArrayBuffer | ArrayBufferView;
  /** Threads of onnxruntime; more than one needs a cross-origin isolated page. */
  threads?: number;
}

export interface CallOptions {
  signal?: AbortSignal;
}

export interface JudgeOptions extends CallOptions {
  policy?: string | Thresholds;
}

interface Scoring {
  /** For each text seven probabilities, in the order of ATTRIBUTES. */
  scores(texts: Iterable<string>, options?: CallOptions): Promise<Float32Array[]>;
  predict(text: string, options?: CallOptions): Promise<Record<Attribute, number>>;
  predict(texts: Iterable<string>, options?: CallOptions): Promise<Record<Attribute, number[]>>;
  judge(text: string, options?: JudgeOptions): Promise<Verdict>;
  judge(texts: Iterable<string>, options?: JudgeOptions): Promise<Verdict[]>;
  explain(text: string, attribute?: Attribute, options?: CallOptions): Promise<Span[]>;
}

export interface Bundle {
  name: string;
  version: string;
  /** SHA-256 of the manifest. */
  digest: string;
  maxLength: number;
  calibration: Record<Attribute, { slope: number; intercept: number; curve?: [number, number][] }>;
  threshold: Record<Attribute, number>;
  policies: Record<string, Policy>;
}

export declare class Screener implements Scoring {
  private constructor();
  static load(source: string | URL | BundleFiles, options?: LoadOptions): Promise<Screener>;
  readonly bundle: Bundle;
  readonly policy: Policy;
  scores: Scoring["scores"];
  predict: Scoring["predict"];
  judge: Scoring["judge"];
  explain: Scoring["explain"];
  /** The model's raw outputs. */
  logits(texts: Iterable<string>, options?: CallOptions): Promise<Float32Array[]>;
  close(): Promise<void>;
}

export interface TableOptions extends JudgeOptions {
  /** Where the comments are, if the column has an uncommon name. */
  textColumn?: string;
  /** Called with the fraction that is done. */
  progress?: (fraction: number) => void;
}

export interface ScreenedTable {
  blob: Blob;
  rows: number;
  errors: number;
  actions: Record<Action, number>;
}

/** What a bundle says of itself, as a worker passes it on. */
export interface BundleAbout {
  name: string;
  version: string;
  digest: string;
  threshold: Record<Attribute, number>;
  policy: Thresholds;
  policies: Record<string, Thresholds>;
}

export declare class WorkerScreener implements Scoring {
  private constructor();
  static load(
    source: string | URL | BundleFiles,
    options?: LoadOptions & { worker?: Worker | string | URL },
  ): Promise<WorkerScreener>;
  readonly bundle: BundleAbout;
  scores: Scoring["scores"];
  predict: Scoring["predict"];
  judge: Scoring["judge"];
  explain: Scoring["explain"];
  columns(file: File, options?: CallOptions): Promise<{ names: string[]; textColumn: string | null }>;
  screen(file: File, options?: TableOptions): Promise<ScreenedTable>;
  close(): void;
}

/** Undo disguises in a comment and fold its white space. */
export declare function cleanText(text: string): string;
export declare function clean(text: string): {
  text: string;
  originalSpan(begin: number, end: number): [number, number];
};
