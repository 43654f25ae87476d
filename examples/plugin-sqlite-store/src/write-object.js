// #region write
/**
 * The bytes are staged under an id that no object has yet, in short transactions, so that a slow
 * source holds no lock. One more transaction judges the condition and gives the key to the id.
 */
export async function writeObject(file, key, body, options) {
  const upload = file.startUpload()
  try {
    for await (const chunk of body) upload.add(chunk)
    options.signal.throwIfAborted()
    return upload.commit(key, options)
  } catch (error) {
    upload.discard()
    throw error
  }
}
// #endregion
