import { providerAddress } from './provider-package';

/** The block that makes a plain HCL configuration use the delivered provider, in the layout of `terraform fmt`. */
export function requiredProvidersBlock(version: string): string {
  return `terraform {
  required_providers {
    xenrepl = {
      source  = "${providerAddress}"
      version = "${version}"
    }
  }
}
`;
}
