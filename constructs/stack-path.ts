import { isAbsolute, relative, resolve } from 'node:path';
import { App, Lazy, TerraformStack, Token } from 'cdktf';
import type { Construct } from 'constructs';

/**
 * Terraform runs in the stack's folder, so a path that the user wrote from the app's directory has to start there. An
 * absolute path inside the project becomes relative as well: the output must not differ from machine to machine.
 */
export function fromStackFolder(scope: Construct, path: string): string {
  const project = process.cwd();
  if (Token.isUnresolved(path) || (isAbsolute(path) && !isInside(project, path))) return path;
  return Lazy.stringValue({
    produce: () => {
      const stack = TerraformStack.of(scope);
      const { outdir, manifest } = App.of(scope);
      return relative(
        resolve(project, outdir, manifest.forStack(stack).workingDirectory),
        resolve(project, path),
      );
    },
  });
}

function isInside(folder: string, file: string): boolean {
  const path = relative(folder, file);
  return !path.startsWith('..') && !isAbsolute(path);
}
