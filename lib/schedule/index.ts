/* What the agent keeps to and the command line tells of: times of schedules, and the agent's memory. */
export { nextStart } from './next-start';
export { occurrencesOf } from './occurrences';
export { durationsKept, jobKeyOf, readHistory, stateFolder, writeHistory } from './history';
export type { Remembered, RememberedJob, RememberedRun, RememberedSkip } from './history';
