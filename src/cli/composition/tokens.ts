import type { ServiceIdentifier } from 'inversify'
import type { Logger } from '../output/logger.ts'
import type { Backend } from './backend.ts'
import type { OpenStore, Surroundings } from './open-store.ts'
import type { ShutdownStack } from './shutdown-stack.ts'

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
