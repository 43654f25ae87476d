import { ContainerModule } from 'inversify'
import { FILE } from './built-in-backends.ts'
import { TOKENS } from './tokens.ts'

export const fileModule = new ContainerModule(({ bind }) => {
  bind(TOKENS.Backend).toConstantValue(FILE)
})
