import { Container } from 'inversify'
import type { Logger } from '../output/logger.ts'
import { azureModule } from './azure.module.ts'
import type { Backend } from './backend.ts'
import { fileModule } from './file.module.ts'
import { gcsModule } from './gcs.module.ts'
import { createOpenStore } from './open-store.ts'
import { refuseTakenSchemes } from './plugins.ts'
import { s3Module } from './s3.module.ts'
import { ShutdownStack } from './shutdown-stack.ts'
import { type Surroundings, TOKENS } from './tokens.ts'

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
  container.load(fileModule, s3Module, gcsModule, azureModule)
  refuseTakenSchemes(input.plugins, container.getAll(TOKENS.Backend))
  for (const plugin of input.plugins) container.bind(TOKENS.Backend).toConstantValue(plugin)
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
