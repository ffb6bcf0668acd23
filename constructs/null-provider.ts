import { NullProvider } from '@cdktf/provider-null/lib/provider';
import { Aspects, TerraformProvider, TerraformStack } from 'cdktf';
import type { IAspect } from 'cdktf';
import type { Construct, IConstruct } from 'constructs';

const cared = new WeakSet<TerraformStack>();

/**
 * Sees to it that the stack has a null provider when it is synthesized: the user's own if there is one, since two
 * without an alias would be refused by Terraform, else one that is added then. The user may create theirs after us.
 */
export function ensureNullProvider(scope: Construct): void {
  const stack = TerraformStack.of(scope);
  if (cared.has(stack)) return;
  cared.add(stack);
  const aspect: IAspect = {
    visit(node: IConstruct): void {
      if (node === stack && !hasNullProvider(stack)) new NullProvider(stack, 'xenrepl-null');
    },
  };
  Aspects.of(stack).add(aspect);
}

function hasNullProvider(stack: TerraformStack): boolean {
  return stack.node
    .findAll()
    .some((node) => TerraformProvider.isTerraformProvider(node) && node.terraformResourceType === 'null');
}
