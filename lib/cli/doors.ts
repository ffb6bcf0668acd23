/** Doors that the command line starts without knowing them: a door never imports another one. */

export const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];

/** What the agent is given; it runs until the signal is aborted. */
export interface AgentCall {
  readonly poolsFile: string;
  /** Where its history is kept. */
  readonly stateFolder: string;
  /** Where runs keep what makes later deltas smaller. */
  readonly cacheDir: string;
  /** Its own settings; null: all defaults. */
  readonly configFile: string | null;
  /** Where it serves metrics, `host:port`; null: as the settings say. */
  readonly listen: string | null;
  readonly logLevel: LogLevel;
  readonly env: NodeJS.ProcessEnv;
  readonly who: string;
  readonly version: string;
  /** Takes the lines of the log. */
  readonly write: (line: string) => void;
  readonly signal: AbortSignal;
  /** Calls the handler whenever the files are to be read anew. */
  readonly onReload: (handler: () => void) => void;
}

export interface Doors {
  /** Loads the agent, which nothing else needs, and answers what runs it. */
  readonly agent: () => Promise<(call: AgentCall) => Promise<void>>;
}
