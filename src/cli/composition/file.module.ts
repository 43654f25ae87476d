import { ContainerModule } from 'inversify'
import { TOKENS } from './tokens.ts'

export const fileModule = new ContainerModule(({ bind }) => {
  bind(TOKENS.Backend).toConstantValue({
    name: 'file',
    schemes: ['file'],
    load: async () => (await import('../../backends/file/index.ts')).provider,
  })
})
