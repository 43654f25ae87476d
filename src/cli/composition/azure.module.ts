import { ContainerModule } from 'inversify'
import { TOKENS } from './tokens.ts'

export const azureModule = new ContainerModule(({ bind }) => {
  bind(TOKENS.Backend).toConstantValue({
    name: 'azure',
    schemes: ['az', 'abs'],
    load: async () => (await import('../../backends/azure/index.ts')).provider,
  })
})
