import { ContainerModule } from 'inversify'
import { TOKENS } from './tokens.ts'

export const gcsModule = new ContainerModule(({ bind }) => {
  bind(TOKENS.Backend).toConstantValue({
    name: 'gcs',
    schemes: ['gs'],
    load: async () => (await import('../../backends/gcs/index.ts')).provider,
  })
})
