import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Diagnostic, Path } from '../framework/diagnostics';
import { Diagnostic_Severity } from '../wire/generated/tfplugin6_pb';
import type { AttributePathSchema, DiagnosticSchema } from '../wire/generated/tfplugin6_pb';

export function toDiagnosticMessage(diagnostic: Diagnostic): MessageInitShape<typeof DiagnosticSchema> {
  const { severity, summary, detail, path } = diagnostic;
  return {
    severity: severity === 'error' ? Diagnostic_Severity.ERROR : Diagnostic_Severity.WARNING,
    summary,
    detail,
    ...(path !== undefined && { attribute: toPathMessage(path) }),
  };
}

export function toPathMessage(path: Path): MessageInitShape<typeof AttributePathSchema> {
  return { steps: path.map((step) => ({ selector: toSelector(step) })) };
}

function toSelector(step: Path[number]) {
  if (typeof step === 'string') return { case: 'attributeName', value: step } as const;
  if (typeof step === 'number') return { case: 'elementKeyInt', value: BigInt(step) } as const;
  return { case: 'elementKeyString', value: step.key } as const;
}
