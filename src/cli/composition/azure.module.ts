import { ContainerModule } from 'inversify'
import { AZURE } from './built-in-backends.ts'
import { TOKENS } from './tokens.ts'

export const azureModule = new ContainerModule(({ bind }) => {
  bind(TOKENS.Backend).toConstantValue(AZURE)
})
