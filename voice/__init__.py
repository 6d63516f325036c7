"""`hum voice`: cascades of speech recognition, language model and speech synthesis behind the Realtime protocol (`realtime`)."""
