import type { ServiceIdentifier } from 'inversify'
import type { Logger } from '../output/logger.ts'
import type { Backend } from './backend.ts'
import type { OpenStore } from './open-store.ts'
import type { ShutdownStack } from './shutdown-stack.ts'

/** The process that composes: where relative paths start, credentials come from, flags apply. */
export interface Surroundings {
  readonly cwd: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** `--endpoint`: replaces the provider's own address. */
  readonly endpoint?: string | undefined
  /** `--region`. */
  readonly region?: string | undefined
  /** Are they from the environment of the process? Then a folder, for which they have no meaning, ignores them. */
  readonly isAmbient?: { readonly endpoint: boolean; readonly region: boolean } | undefined
}

/** What the container can give. `Symbol.for`, so that two copies of this module agree. */
export const TOKENS = {
  /** Bound once a backend; asked for with `getAll`. */
  Backend: token<Backend>('Backend'),
  Logger: token<Logger>('Logger'),
  OpenStore: token<OpenStore>('OpenStore'),
  ShutdownStack: token<ShutdownStack>('ShutdownStack'),
  Surroundings: token<Surroundings>('Surroundings'),
} as const

function token<T>(name: string): ServiceIdentifier<T> {
  return Symbol.for(`walsync/cli/${name}`) as ServiceIdentifier<T>
}
