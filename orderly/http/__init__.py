"""What every operation needs: authentication, CORS, problem documents and the log."""
