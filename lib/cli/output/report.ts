/** The report of a run as people read it: a table of disks, a table of VMs, and what went wrong. */
import type { DiskReport, NiceReport, RunReport, VmReport } from '../../engine';
import { failureLines, withoutHint } from '../failure';
import { bytes, duration, instant, rate } from './quantities';
import { table } from './table';
import { counted } from './text';

export function reportLines(report: RunReport, width: number | null): readonly string[] {
  const { vms, job, nice } = report;
  if (vms.length === 0) return [`job "${job.name}" selects no VM at present: nothing was replicated`];
  const disks = vms.flatMap(({ vm, disks: own }) => own.map((disk) => diskRow(vm.name, disk)));
  const done = vms.filter(({ outcome }) => outcome.kind === 'replicated').length;
  return [
    ...(disks.length === 0 ? [] : ['', ...table(diskColumns, disks, width)]),
    '',
    ...table(vmColumns, vms.map(vmRow), width),
    '',
    `${String(done)} of ${counted(vms.length, 'VM')} replicated in ${duration(report.durationMs)}`,
    ...(nice === null ? [] : [niceLine(nice)]),
  ];
}

function niceLine({ highestLoadPerVcpu, heldBackMs, lowestBytesPerSecond }: NiceReport): string {
  const gaveWay =
    lowestBytesPerSecond === null
      ? 'never gave way'
      : `gave way for ${duration(heldBackMs)}, down to ${rate(lowestBytesPerSecond)}`;
  const seen =
    highestLoadPerVcpu === null
      ? 'no host said how busy it is'
      : `highest load of a control domain: ${highestLoadPerVcpu.toFixed(2)} per vCPU`;
  return `nice: ${gaveWay} (${seen})`;
}

/** One error with its hint for every VM that has no new recovery point. */
export function failureLinesOf({ vms }: Pick<RunReport, 'vms'>): readonly string[] {
  return vms.flatMap(({ vm, outcome }) => {
    if (outcome.kind === 'replicated') return [];
    const { message, hint } = outcome.error;
    if (outcome.kind !== 'cancelled')
      return failureLines({ message: `${vm.name}: ${withoutHint(message, hint)}`, hint });
    // Whoever stopped it knows why; which call was torn does not matter to them.
    return failureLines({ message: `${vm.name}: stopped before its recovery point was made`, hint: '' });
  });
}

const diskColumns = [
  { title: 'VM', shrinkTo: 12 },
  { title: 'DISK' },
  { title: 'KIND' },
  { title: 'CHANGED', align: 'right' },
  { title: 'READ', align: 'right' },
  { title: 'SENT', align: 'right' },
] as const;

const vmColumns = [
  { title: 'VM', shrinkTo: 12 },
  { title: 'OUTCOME' },
  { title: 'RECOVERY POINT', shrinkTo: 13 },
  { title: 'AS OF', shrinkTo: 10 },
  { title: 'DURATION', align: 'right' },
] as const;

function diskRow(name: string, disk: DiskReport): readonly string[] {
  const { device, copyKind, changedBytes, readBytes, sentBytes } = disk;
  return [name, device, copyKind, bytes(changedBytes), bytes(readBytes), bytes(sentBytes)];
}

function vmRow({ vm, outcome, durationMs }: VmReport): readonly string[] {
  const took = duration(durationMs);
  return outcome.kind === 'replicated'
    ? [vm.name, outcome.kind, outcome.point.uuid, instant(outcome.takenAtMs), took]
    : [vm.name, outcome.kind, '-', '-', took];
}
