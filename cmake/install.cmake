# Installs headers, libraries, the CMake package and cldeform.pc. Both packages work wherever the tree is moved to.
include(CMakePackageConfigHelpers)

install(FILES include/cldeform/cldeform.h include/cldeform/cldeform_ref.h include/cldeform/problem.h
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/cldeform)

if(CLDEFORM_BUILD_TOOLS)
    install(TARGETS cldeform_tool)
endif()

# Two export files: who uses the shared library needs no CLBlast to build.
set(package_directory ${CMAKE_INSTALL_LIBDIR}/cmake/CLDeform)
if(CLDEFORM_BUILD_SHARED)
    install(TARGETS cldeform EXPORT CLDeformTargets)
    install(EXPORT CLDeformTargets NAMESPACE CLDeform:: DESTINATION ${package_directory})
endif()
if(CLDEFORM_BUILD_STATIC)
    install(TARGETS cldeform_static EXPORT CLDeformStaticTargets)
    install(EXPORT CLDeformStaticTargets NAMESPACE CLDeform:: DESTINATION ${package_directory})
endif()
configure_package_config_file(cmake/CLDeformConfig.cmake.in ${PROJECT_BINARY_DIR}/CLDeformConfig.cmake
                              INSTALL_DESTINATION ${package_directory})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/CLDeformConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/CLDeformConfig.cmake ${PROJECT_BINARY_DIR}/CLDeformConfigVersion.cmake
        DESTINATION ${package_directory})

# cldeform.pc finds the prefix from where it is itself, unless a directory was given as an absolute path.
set(pc_prefix ${CMAKE_INSTALL_PREFIX})
set(pc_libdir ${CMAKE_INSTALL_FULL_LIBDIR})
set(pc_includedir ${CMAKE_INSTALL_FULL_INCLUDEDIR})
if(NOT IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
    file(RELATIVE_PATH up "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
    string(REGEX REPLACE "/$" "" up "${up}")
    set(pc_prefix "\${pcfiledir}/${up}")
    set(pc_libdir "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
    if(NOT IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
        set(pc_includedir "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
    endif()
endif()
set(pc_cflags "")
if(WIN32 AND CLDEFORM_BUILD_SHARED)
    set(pc_cflags " -DCLDEFORM_SHARED")
endif()
# What the library is made of is the business of programs that link it statically: of all, where there is no other.
set(pc_requires OpenCL)
set(pc_requires_private "clblast >= 1.5")
set(pc_libs "")
set(pc_libs_private "-pthread -lm")
if(NOT CLDEFORM_BUILD_SHARED)
    set(pc_requires "${pc_requires}, ${pc_requires_private}")
    set(pc_requires_private "")
    set(pc_libs " ${pc_libs_private}")
    set(pc_libs_private "")
endif()
configure_file(cmake/cldeform.pc.in ${PROJECT_BINARY_DIR}/cldeform.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/cldeform.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
