import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { Annotations, TerraformStack } from 'cdktf';
import type { Construct } from 'constructs';
import {
  mirrorFolderName,
  providerAddress,
  readCliConfigurations,
  shutOutAdvice,
  terraformPlatform,
} from '../lib/delivery';
import { XenreplProvider } from './bindings/provider';
import { checkedChoice, checkedText } from './checked';
import { fromStackFolder } from './stack-path';
import { deliver, nullProviderAddress } from './stack-delivery';
import type { RequiredProvider } from './stack-delivery';

/** Settings of the provider of a stack. No secret belongs here: credentials stand in the pools file. */
export interface XenReplicationProviderProps {
  /**
   * The pools file, which says where pools are and how to log in. A relative path starts at the directory the app is
   * synthesized in, as a path in any program does; runs of the stack's jobs read the same file.
   * @default - the file that XENREPL_POOLS_FILE names, else the nearest xenrepl.yaml upwards from the stack's folder
   * in cdktf.out (so one beside cdktf.json is found), else ~/.config/xenrepl/pools.yaml
   */
  readonly poolsFile?: string;
  /**
   * What a plan does when a target pool does not answer. `fail`: an error that names the pool. `warn`: a warning; jobs
   * keep their state, and replicas are read as not reachable. For the day on which the target site is the one that burns.
   * @default 'fail'
   */
  readonly onUnreachable?: 'fail' | 'warn';
  /**
   * Delivers a stand-in for hashicorp/null from the bundle, for sites that reach no registry. The stand-in serves
   * `null_resource` only, and bears the name of a provider that is not ours: switch it on where you must. Switching it
   * off again removes it at the next synth.
   * @default false
   */
  readonly airGapped?: boolean;
  /**
   * Name of this provider where a stack has several, e.g. two pools files.
   * @default - none: the stack's default provider
   */
  readonly alias?: string;
}

/**
 * The provider of a stack, which also brings itself along: at synth it writes the provider and the CLI into the stack's
 * folder, with the lock entries, so that `cdktf deploy` needs no installation and no registry for it.
 *
 *     new XenReplicationProvider(this, 'xenrepl');
 */
export class XenReplicationProvider extends XenreplProvider {
  /** The default provider (the one without an alias) of the stack a construct stands in, if there is one yet. */
  static ofStack(scope: Construct): XenReplicationProvider | undefined {
    return providersOf(TerraformStack.of(scope)).find((provider) => provider.alias === undefined);
  }

  /** Whether a stand-in for hashicorp/null was asked for here. */
  readonly airGapped: boolean;
  /**
   * The pools file relative to the stack's folder, where provider and provisioners run; undefined for the default.
   * It resolves at synth.
   */
  readonly poolsFileInStack: string | undefined;

  constructor(scope: Construct, id: string, props: XenReplicationProviderProps = {}) {
    const { poolsFile, onUnreachable, alias } = props;
    if (poolsFile !== undefined) checkedText('poolsFile', poolsFile, 'leave it out for the default place');
    if (onUnreachable !== undefined) {
      checkedChoice(
        'onUnreachable',
        onUnreachable,
        ['fail', 'warn'],
        'a plan either stops at a silent pool or goes on',
      );
    }
    const poolsFileInStack = poolsFile === undefined ? undefined : fromStackFolder(scope, poolsFile);
    super(scope, id, {
      ...(poolsFileInStack === undefined ? {} : { poolsFile: poolsFileInStack }),
      ...(onUnreachable === undefined ? {} : { onUnreachable }),
      ...(alias === undefined ? {} : { alias }),
    });
    this.poolsFileInStack = poolsFileInStack;
    this.airGapped = props.airGapped ?? false;
    this.node.addValidation({ validate: () => platformProblems() });
    // The symbol is cdktf's hook for constructs that write files of their own; TerraformAsset uses the same one.
    Object.defineProperty(this, Symbol.for('cdktf/customSynthesis'), {
      value: { onSynthesize: (session: SynthesisSession) => this.#deliver(session) },
    });
  }

  #deliver(session: SynthesisSession): void {
    const stack = TerraformStack.of(this);
    const providers = providersOf(stack);
    if (providers[0] !== this) return;
    const stackFolder = resolve(session.outdir, session.manifest.forStack(stack).workingDirectory);
    const airGapped = providers.some((provider) => provider.airGapped);
    const { requiredProviders, remote } = terraformBlock(stack);
    const warnings = [
      ...deliver({
        stackFolder,
        bundleFolder: bundleFolder(),
        version: this.terraformGeneratorMetadata?.providerVersion ?? '',
        system: process.platform,
        architecture: process.arch,
        airGapped,
        requiredProviders,
      }),
      ...cliConfigurationWarnings(stackFolder, airGapped),
      ...(airGapped && process.env['TF_PLUGIN_CACHE_DIR'] !== undefined ? [cacheWarning] : []),
      ...(remote === undefined ? [] : [remoteWarning(remote)]),
    ];
    for (const warning of warnings) Annotations.of(this).addWarning(warning);
  }
}

/** The part of cdktf's synthesis session that is used here; cdktf does not export the type. */
interface SynthesisSession {
  readonly outdir: string;
  readonly manifest: { forStack(stack: TerraformStack): { readonly workingDirectory: string } };
}

function providersOf(stack: TerraformStack): XenReplicationProvider[] {
  return stack.node
    .findAll()
    .filter((node): node is XenReplicationProvider => node instanceof XenReplicationProvider);
}

function platformProblems(): string[] {
  try {
    terraformPlatform(process.platform, process.arch);
    return [];
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  }
}

/** What the stack says to Terraform about providers and about the place where it is applied. */
function terraformBlock(stack: TerraformStack): {
  requiredProviders: RequiredProvider[];
  remote: string | undefined;
} {
  const { terraform } = stack.toTerraform() as {
    terraform?: {
      required_providers?: Record<string, { source?: string; version?: string }>;
      backend?: Record<string, unknown>;
      cloud?: unknown;
    };
  };
  const requiredProviders = Object.entries(terraform?.required_providers ?? {}).map(
    ([name, { source, version }]) => ({
      source: source ?? name,
      ...(version === undefined ? {} : { version }),
    }),
  );
  const remote =
    terraform?.cloud !== undefined ? 'cloud' : Object.keys(terraform?.backend ?? {}).find(isRemote);
  return { requiredProviders, remote };
}

function isRemote(backend: string): boolean {
  return backend === 'remote';
}

function remoteWarning(kind: string): string {
  return (
    `The stack's "${kind}" backend may run Terraform on machines of HCP Terraform, which have neither Node.js nor a way ` +
    'to your pools: set the execution mode of its workspace to "local"'
  );
}

const cacheWarning =
  'Terraform keeps a plugin cache (TF_PLUGIN_CACHE_DIR, which cdktf sets), and will keep the stand-in of this air-gapped ' +
  'stack there under the name hashicorp/null, where the other projects of this machine find it: ' +
  'set CDKTF_DISABLE_PLUGIN_CACHE_ENV=true';

function cliConfigurationWarnings(stackFolder: string, airGapped: boolean): string[] {
  const wanted = {
    workingFolder: stackFolder,
    mirror: join(stackFolder, mirrorFolderName),
    addresses: [providerAddress, ...(airGapped ? [nullProviderAddress] : [])],
  };
  return readCliConfigurations(process.env, homedir()).flatMap((configuration) => {
    const advice = shutOutAdvice(configuration, wanted);
    return advice === undefined ? [] : [advice];
  });
}

/** `dist/bundle` of this package, seen from the compiled module (dist/constructs) or from its source (constructs). */
function bundleFolder(): string {
  const places = [join(__dirname, '..', 'bundle'), join(__dirname, '..', 'dist', 'bundle')];
  const found = places.find((folder) => existsSync(join(folder, 'provider.cjs')));
  if (found === undefined) {
    throw new Error(
      'Cannot deliver the xenrepl provider: dist/bundle/provider.cjs is missing from the package cdktf-xen-replication. ' +
        'Install the package again, or run npm run build in a checkout of it',
    );
  }
  return found;
}
