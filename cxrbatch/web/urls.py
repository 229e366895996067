"""Addresses of the pages. None holds an identifier of a patient: a line of a list is its run and its position."""

from django.urls import path

from cxrbatch.web.views import accounts, audit, errors, lists, marks, uploads

_LINE = "lists/<int:run>/<int:position>/"

urlpatterns = [
    path("", lists.home, name="home"),
    path("lists/", lists.nights, name="nights"),
    path("lists/<int:run>/", lists.night, name="night"),
    path("lists/<int:run>/report/", lists.report, name="report"),
    path(_LINE, lists.patient, name="patient"),
    path(f"{_LINE}<int:image>.jpg", lists.thumbnail, name="thumbnail"),
    path(f"{_LINE}large.jpg", lists.large_image, name="large-image"),
    path(f"{_LINE}enter/", marks.enter, name="enter"),
    path(f"{_LINE}undo/", marks.undo, name="undo"),
    path(f"{_LINE}looked-at/", marks.looked_at, name="looked-at"),
    path("uploads/", uploads.overview, name="uploads"),
    path("uploads/new/", uploads.new, name="new-upload"),
    path("uploads/<uuid:number>/", uploads.show, name="upload"),
    path("uploads/<uuid:number>/files/", uploads.add, name="add"),
    path("uploads/<uuid:number>/news/", uploads.news, name="news"),
    path("uploads/<uuid:number>/results.csv", uploads.table, name="table"),
    path("uploads/<uuid:number>/delete/", uploads.delete, name="delete-upload"),
    path("uploads/<uuid:number>/<uuid:image>.jpg", uploads.picture, name="picture"),
    path("uploads/<uuid:number>/<uuid:image>.map.<slug:question>.png", uploads.map_of_picture, name="map"),
    path("uploads/<uuid:number>/<uuid:image>.result.png", uploads.annotated_picture, name="annotated"),
    path("audit/", audit.figures, name="audit"),
    path("trail/", audit.trail, name="trail"),
    path("users/", accounts.users, name="users"),
    path("users/invite/", accounts.invite, name="invite"),
    path("users/<int:number>/", accounts.change, name="change-user"),
    path("welcome/<str:token>/", accounts.welcome, name="welcome"),
    path("password/", accounts.password, name="password"),
    path("login/", accounts.sign_in, name="login"),
    path("logout/", accounts.sign_out, name="logout"),
    path("health/", errors.health, name="health"),
]
handler400 = "cxrbatch.web.views.errors.bad_request"
handler403 = "cxrbatch.web.views.errors.forbidden"
handler404 = "cxrbatch.web.views.errors.not_found"
handler500 = "cxrbatch.web.views.errors.internal"
