import { ContainerModule } from 'inversify'
import { TOKENS } from './tokens.ts'

export const s3Module = new ContainerModule(({ bind }) => {
  bind(TOKENS.Backend).toConstantValue({
    name: 's3',
    schemes: ['s3', 'tigris'],
    load: async () => (await import('../../backends/s3/index.ts')).provider,
  })
})
