import { ContainerModule } from 'inversify'
import { GCS } from './built-in-backends.ts'
import { TOKENS } from './tokens.ts'

export const gcsModule = new ContainerModule(({ bind }) => {
  bind(TOKENS.Backend).toConstantValue(GCS)
})
