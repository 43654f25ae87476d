import { Container } from 'inversify'
import type { Logger } from '../output/logger.ts'
import type { Backend } from './backend.ts'
import { BUILT_IN_BACKENDS } from './built-in-backends.ts'
import { createOpenStore, type Surroundings } from './open-store.ts'
import { refuseTakenSchemes } from './plugins.ts'
import { ShutdownStack } from './shutdown-stack.ts'
import { TOKENS } from './tokens.ts'

export interface ContainerInput {
  readonly surroundings: Surroundings
  readonly logger: Logger
  /** Already loaded and validated. */
  readonly plugins: readonly Backend[]
}

/**
 * The object graph of one run. Only `main` sees the container; nothing is injected with it.
 *
 * @throws UsageError if two backends claim one URL scheme
 */
export function createContainer(input: ContainerInput): Container {
  const container = new Container()
  refuseTakenSchemes(input.plugins, BUILT_IN_BACKENDS)
  for (const backend of [...BUILT_IN_BACKENDS, ...input.plugins]) {
    container.bind(TOKENS.Backend).toConstantValue(backend)
  }
  container.bind(TOKENS.Surroundings).toConstantValue(input.surroundings)
  container.bind(TOKENS.Logger).toConstantValue(input.logger)
  container
    .bind(TOKENS.ShutdownStack)
    .toResolvedValue(() => new ShutdownStack())
    .inSingletonScope()
  container
    .bind(TOKENS.OpenStore)
    .toResolvedValue(createOpenStore, [
      { serviceIdentifier: TOKENS.Backend, isMultiple: true },
      TOKENS.Surroundings,
      TOKENS.ShutdownStack,
      TOKENS.Logger,
    ])
    .inSingletonScope()
  return container
}
